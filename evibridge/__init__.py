"""evibridge: voice agents of plain Python functions, on the phone and in the browser."""
