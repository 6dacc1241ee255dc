"use strict";
const slider = document.getElementById("step");
const shown = document.getElementById("step-shown");
const steps = slider.dataset.steps.split(" ").map(Number);

function show() {
  const step = steps[slider.value];
  shown.textContent = String(step);
  for (const film of document.querySelectorAll(".film")) {
    let current = film.children[0];
    for (const frame of film.children) {
      if (Number(frame.dataset.step) <= step) current = frame;
    }
    for (const frame of film.children) frame.hidden = frame !== current;
  }
}

slider.addEventListener("input", show);
document.getElementById("slider").hidden = false;
show();
