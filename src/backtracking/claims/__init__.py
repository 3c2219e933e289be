"""What may be concluded: claims, the rules that they are judged by, and the evidence behind each verdict."""
