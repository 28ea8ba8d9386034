"""What tests share: databases, the pipeline as a subprocess, servers, and a second opinion on the report."""
