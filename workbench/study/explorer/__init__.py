"""One page that shows a world's truth beside what SAEs learned of it: data, template, and the page itself."""
