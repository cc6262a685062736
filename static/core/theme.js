// Sets the chosen theme before the first paint, hence a small blocking script. No choice means the system's.
{
  const KEY = "parley-theme";
  const root = document.documentElement;
  const apply = (theme) => (theme ? (root.dataset.theme = theme) : delete root.dataset.theme);

  // Storage may be refused (private windows, policies): the theme then lasts as long as the page.
  const storage = (use) => {
    try {
      return use(localStorage);
    } catch (error) {
      console.info("The theme is not remembered:", error.message);
      return null;
    }
  };

  apply(storage((store) => store.getItem(KEY)));
  addEventListener("storage", (event) => event.key === KEY && apply(event.newValue));

  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-theme-toggle]")) return;
    const isDark = getComputedStyle(root).colorScheme === "dark"
      || (!root.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
    const theme = isDark ? "light" : "dark";
    apply(theme);
    storage((store) => store.setItem(KEY, theme));
  });
}
