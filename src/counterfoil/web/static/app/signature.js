/* Drawing a signature: strokes on the canvas become an SVG path in the hidden input. Without this script one types. */
(function () {
  "use strict";
  var field = document.querySelector("[data-signature]");
  if (!field) return;
  var canvas = field.querySelector("canvas");
  var kept = field.querySelector("input[name=drawn]");
  var typed = field.querySelector("[data-typed]");
  var drawn = field.querySelector("[data-drawn]");
  var pen = canvas.getContext("2d");
  var drawing = false;

  function chosen() {
    return field.querySelector("input[name=signature_kind]:checked").value;
  }

  function show() {
    var draws = chosen() === "drawn";
    typed.hidden = draws;
    drawn.hidden = !draws;
  }

  /* Where the pointer is, within 600 x 200, to a tenth. */
  function at(event) {
    var box = canvas.getBoundingClientRect();
    var x = Math.min(Math.max(((event.clientX - box.left) / box.width) * 600, 0), 600);
    var y = Math.min(Math.max(((event.clientY - box.top) / box.height) * 200, 0), 200);
    return [Math.round(x * 10) / 10, Math.round(y * 10) / 10];
  }

  function ink() {
    pen.clearRect(0, 0, 600, 200);
    pen.strokeStyle = getComputedStyle(canvas).color;
    pen.lineWidth = 3;
    pen.lineCap = pen.lineJoin = "round";
    if (kept.value) pen.stroke(new Path2D(kept.value));
  }

  function add(step, event) {
    if (kept.value.length > 90000) return;
    kept.value += step + at(event).join(" ");
    ink();
  }

  canvas.addEventListener("pointerdown", function (event) {
    drawing = true;
    canvas.setPointerCapture(event.pointerId);
    add("M", event);
    event.preventDefault();
  });
  canvas.addEventListener("pointermove", function (event) {
    if (drawing) add("L", event);
  });
  ["pointerup", "pointercancel"].forEach(function (name) {
    canvas.addEventListener(name, function () {
      drawing = false;
    });
  });
  field.querySelector("[data-clear]").addEventListener("click", function () {
    kept.value = "";
    ink();
  });
  field.querySelectorAll("[data-needs-script]").forEach(function (part) {
    part.hidden = false;
  });
  field.addEventListener("change", show);
  show();
  ink();

  /* A form is sent once, however often one presses. */
  document.querySelectorAll("form").forEach(function (form) {
    form.addEventListener("submit", function (event) {
      if (form.dataset.sent) event.preventDefault();
      form.dataset.sent = "yes";
    });
  });
  window.addEventListener("pageshow", function () {
    document.querySelectorAll("form").forEach(function (form) {
      delete form.dataset.sent;
    });
  });
})();
