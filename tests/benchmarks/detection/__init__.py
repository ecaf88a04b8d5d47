"""Leave-city detection, measured: geomon and what is built elsewhere, on the same tracks."""
