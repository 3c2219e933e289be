"""Tables in, tables, figures and findings out."""
