"""What is fast, against what: each module is a program that prints its figures."""
