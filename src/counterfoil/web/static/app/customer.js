/* The page keeps up with what it asks: a quote that was accepted, replaced or withdrawn while it lies open is shown as it
   is now, and what cannot be asked just now is said where it was asked for. */
(function () {
  "use strict";
  var AWAY = "We cannot be reached just now. What you entered is still here.";
  var AGAIN = 1500;
  var picks = document.querySelector("[data-picks]");
  var leaving = false;

  window.addEventListener("pagehide", function () { leaving = true; });
  window.addEventListener("pageshow", function () { leaving = false; });

  /* Beside a form or a button; the figures of other picks are not left standing as if they were those of these. */
  function say(source, text) {
    var place = source === picks ? document.getElementById("totals") : source;
    unsay();
    var said = document.createElement("p");
    said.className = "error";
    said.setAttribute("role", "alert");
    said.setAttribute("data-away", "");
    said.textContent = text;
    if (source === picks) place.prepend(said);
    else place.after(said);
  }

  function unsay() {
    document.querySelectorAll("[data-away]").forEach(function (said) { said.remove(); });
  }

  document.addEventListener("htmx:responseError", function (event) {
    if ([404, 409, 410].indexOf(event.detail.xhr.status) !== -1) location.reload();
    else say(event.detail.requestConfig.elt, event.detail.xhr.status === 429 ? "Too many requests. Wait a minute, then try again." : "That did not go through. Try again, or load the page again.");
  });
  document.addEventListener("htmx:sendError", function (event) {
    var source = event.detail.requestConfig.elt;
    if (leaving) return;
    say(source, source === picks ? AWAY + " These totals are not yet those of your choice." : AWAY + " Try again in a moment.");
    if (source === picks) setTimeout(function () { picks.dispatchEvent(new Event("input")); }, AGAIN);
  });
  document.addEventListener("htmx:afterOnLoad", function (event) {
    if (event.detail.xhr.status < 400) unsay();
  });
})();
