"""A server that speaks the API's wire format with the embedded model, and fails on demand."""

from pipeline.ihc_sandbox.command import main

__all__ = ["main"]
