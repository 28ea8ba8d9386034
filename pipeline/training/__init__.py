"""Training sets for the API and for `ihc-local`, and what `ihc-local` learns from them."""
