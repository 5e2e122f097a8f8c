// Keeps the order's page up to date: it asks while something moves, and reloads when it has.
"use strict";

const order = document.getElementById("order");
const seen = order.dataset.version;
const path = "/my/orders/" + encodeURIComponent(order.dataset.order) + "/status?version=" + seen;

async function look() {
  try {
    // The answer waits for news.
    const answer = await fetch(path);
    if (answer.ok) {
      const told = await answer.json();
      if (told.version !== seen) return location.reload();
      if (!told.is_moving) return;
    }
  } catch {
    // The shop is away for a moment; the next look may find it.
  }
  setTimeout(look, 1000);
}

if (order.dataset.moving === "yes") setTimeout(look, 500);
