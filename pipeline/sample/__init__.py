"""A generator of sample data, and the schema of the source database that it fills; no task of the pipeline uses it."""
