"""One module per public data set: each fills a `LogWriter` from the files as they are published."""
