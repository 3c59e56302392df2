// Sets the theme before the first paint. Without a choice the system decides.
try {
  const theme = localStorage.getItem("duoscope.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {}
