"""Small changes of the code (mutants): how many of them the tests notice."""
