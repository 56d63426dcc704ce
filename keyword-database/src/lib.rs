//! Rows of a keyword database: one streaming reader and writer for the text and the binary form.
