"""What is studied, read row by row: word problems, traces from elsewhere, and labels of their sentences."""
