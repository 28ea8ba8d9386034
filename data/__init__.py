"""The source database's schema and a generator of sample data; date-stamped outputs land here too."""
