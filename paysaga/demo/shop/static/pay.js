// The ways to pay beside a new card: a saved one, whose id the shop knows, and PayPal.
"use strict";

const label = field("pay-label").textContent;
const ways = [...form.querySelectorAll("input[name=way]")];
const chosen = () => ways.find((way) => way.checked).value;

const goingOn = { paypal: "Continue to PayPal", page: "Continue to the payment page" };

// Not every way is offered each time: a payment stays with the gateway's page, or without it.
choose = (way) => {
  for (const each of ways) each.checked = each.value === way;
  for (const panel of ["card", "paypal", "page"]) field(panel).hidden = panel !== way;
  field("card-hint").hidden = way !== "card";
  for (const id of ["number", "expiry", "cvc"]) field(id).disabled = way !== "card";
  field("pay-label").textContent = goingOn[way] || label;
};

chosenToken = async () => {
  const way = chosen();
  if (way === "card") return tokenOf(cardDetails());
  if (way === "page") return "";
  return way === "paypal" ? tokenOf(new URLSearchParams({ type: "paypal" })) : way;
};

for (const way of ways) way.addEventListener("change", () => choose(way.value));
window.addEventListener("pageshow", () => choose(chosen()));
