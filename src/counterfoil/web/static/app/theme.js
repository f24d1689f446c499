/* Sets dark or light before the first paint: the person's choice, else the system's. Loaded in the head, not deferred. */
(function () {
  "use strict";
  var system = window.matchMedia("(prefers-color-scheme: dark)");

  function choice() {
    try {
      return localStorage.getItem("counterfoil-theme") || "auto";
    } catch (error) {
      return "auto"; // storage is blocked: follow the system
    }
  }

  function apply() {
    var chosen = choice();
    var theme = chosen === "auto" ? (system.matches ? "dark" : "light") : chosen;
    document.documentElement.setAttribute("data-bs-theme", theme);
    document.documentElement.dataset.themeChoice = chosen;
    document.dispatchEvent(new CustomEvent("counterfoil:theme"));
  }

  window.counterfoilTheme = function (chosen) {
    try {
      localStorage.setItem("counterfoil-theme", chosen);
    } catch (error) {
      /* the choice holds for this page only */
    }
    apply();
  };
  system.addEventListener("change", apply);
  apply();
})();
