"""The start page, in parts: what its address says, its columns, list, chart, facets and the completion of filters."""
