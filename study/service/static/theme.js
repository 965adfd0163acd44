// Before anything is drawn: dark where the reader's system is dark.
document.documentElement.dataset.theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
