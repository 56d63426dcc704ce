//! Examines a deployment of a private URL filter as devices see it.
