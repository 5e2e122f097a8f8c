// Gives the card straight to the gateway and sends the shop nothing but the gateway's token.
"use strict";

const form = document.querySelector("form[data-gateway]");
const field = (id) => document.getElementById(id);
const button = form.querySelector(".main-button");

function busy(isBusy) {
  button.disabled = isBusy;
  form.querySelector(".spinner").hidden = !isBusy;
}

function complain(text) {
  field("problem").textContent = text;
  field("problem").hidden = !text;
}

function cardDetails() {
  const values = new URLSearchParams();
  const [month = "", year = ""] = field("expiry").value.split("/").map((part) => part.trim());
  values.set("type", "card");
  values.set("card[number]", field("number").value.replace(/\D/g, ""));
  values.set("card[exp_month]", month);
  values.set("card[exp_year]", year.length === 2 ? "20" + year : year);
  values.set("card[cvc]", field("cvc").value.trim());
  return values;
}

async function tokenOf(values) {
  const answer = await fetch(form.dataset.gateway + "/v1/payment_methods", {
    method: "POST",
    headers: { Authorization: "Bearer " + form.dataset.key },
    body: values,
  });
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.error.message);
  return told.id;
}

// A page that knows other ways than a card sets these anew.
let chosenToken = () => tokenOf(cardDetails());
let choose = () => {};

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  complain("");
  busy(true);
  try {
    form.elements.payment_method_id.value = await chosenToken();
    form.submit();
  } catch (error) {
    busy(false);
    complain(error instanceof TypeError ? "The payment gateway does not answer. Try again soon." : error.message);
  }
});

field("number").addEventListener("input", ({ target }) => {
  target.value = target.value.replace(/\D/g, "").replace(/(.{4})(?=.)/g, "$1 ");
});
field("expiry").addEventListener("input", ({ target, inputType }) => {
  const digits = target.value.replace(/\D/g, "").slice(0, 4);
  const split = digits.length > 2 || (digits.length === 2 && inputType !== "deleteContentBackward");
  target.value = split ? digits.slice(0, 2) + " / " + digits.slice(2) : digits;
});
for (const chip of document.querySelectorAll(".chip")) {
  chip.addEventListener("click", () => {
    choose("card");
    field("number").value = chip.dataset.number;
    field("expiry").value = "12 / 34";
    field("cvc").value = "123";
    complain("");
    button.focus();
  });
}
// The browser's back button shows this page as it was left: ready again.
window.addEventListener("pageshow", () => busy(false));
