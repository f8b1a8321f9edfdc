"""Claims, one theorem a file, one area a folder; a new file here is on the shelf without further edits."""
