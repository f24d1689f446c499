/* A quote that was accepted, replaced or withdrawn while it lies open: the page is shown as it is now. */
(function () {
  "use strict";
  document.addEventListener("htmx:responseError", function (event) {
    if ([404, 409, 410].indexOf(event.detail.xhr.status) !== -1) location.reload();
  });
})();
