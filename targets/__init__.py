"""What a task leaves behind: atomic, durable files and table slices that know what they were made from."""
