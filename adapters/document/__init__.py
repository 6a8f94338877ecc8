"""Documents of a result for people and spreadsheets. Pure: a view in, bytes out."""
