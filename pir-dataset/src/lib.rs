//! Data sets of a private lookup: processing, manifests, and publications.
