"""Reports, for the command line, pages and programs alike: questions, comparisons, and prices elsewhere."""
