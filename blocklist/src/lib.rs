//! Block lists in many formats to the keys of a prefilter, with a report of every line.
