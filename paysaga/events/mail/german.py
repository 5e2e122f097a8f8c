"""German words of mails."""

from typing import Final

from paysaga.domain.reasons import Reason
from paysaga.events.mail.words import Words

_DECLINES: Final = {
    "Your card was declined. Please use another card or contact your bank.": "Ihre Karte wurde"
    " abgelehnt. Bitte verwenden Sie eine andere Karte oder wenden Sie sich an Ihre Bank.",
    "Your card has insufficient funds. Please use another card.": "Ihre Karte ist nicht"
    " ausreichend gedeckt. Bitte verwenden Sie eine andere Karte.",
    "The payment could not be processed. Please try again.": "Die Zahlung konnte nicht verarbeitet"
    " werden. Bitte versuchen Sie es noch einmal.",
    "Your bank could not be reached. Please try again later or use another card.": "Ihre Bank war"
    " nicht erreichbar. Bitte versuchen Sie es später noch einmal oder verwenden Sie eine andere"
    " Karte.",
    "Your card's limit is reached. Please use another card or contact your bank.": "Das Limit Ihrer"
    " Karte ist erreicht. Bitte verwenden Sie eine andere Karte oder wenden Sie sich an Ihre Bank.",
    "Your card was declined too often today. Please use another card or try tomorrow.": "Ihre Karte"
    " wurde heute zu oft abgelehnt. Bitte verwenden Sie eine andere Karte oder versuchen Sie es"
    " morgen noch einmal.",
    "The same payment was made a moment ago. Please check it before you try again.": "Dieselbe"
    " Zahlung wurde eben schon einmal ausgeführt. Bitte prüfen Sie das, bevor Sie es noch einmal"
    " versuchen.",
    "The payment was declined. Please use another payment method.": "Die Zahlung wurde abgelehnt."
    " Bitte verwenden Sie ein anderes Zahlungsmittel.",
    "This payment method is not available at the moment. Please use another one or try again"
    " later.": "Dieses Zahlungsmittel ist zurzeit nicht verfügbar. Bitte verwenden Sie ein anderes"
    " oder versuchen Sie es später noch einmal.",
    "Your bank wants you to confirm the payment. Please try again and confirm it.": "Ihre Bank"
    " möchte, dass Sie die Zahlung bestätigen. Bitte versuchen Sie es noch einmal und bestätigen"
    " Sie sie.",
    "The payment could not be confirmed with your bank. Please try again or use another"
    " card.": "Die Zahlung konnte bei Ihrer Bank nicht bestätigt werden. Bitte versuchen Sie es"
    " noch einmal oder verwenden Sie eine andere Karte.",
    "The payment was not confirmed in time. Please try again.": "Die Zahlung wurde nicht"
    " rechtzeitig bestätigt. Bitte versuchen Sie es noch einmal.",
    "The payment was not approved. Please try again or use another payment method.": "Die Zahlung"
    " wurde nicht freigegeben. Bitte versuchen Sie es noch einmal oder verwenden Sie ein anderes"
    " Zahlungsmittel.",
    "Your bank does not allow this amount. Please use another card or contact your bank.": "Ihre"
    " Bank lässt diesen Betrag nicht zu. Bitte verwenden Sie eine andere Karte oder wenden Sie sich"
    " an Ihre Bank.",
    "The PIN is not correct. Please try again or use another card.": "Die PIN ist nicht richtig."
    " Bitte versuchen Sie es noch einmal oder verwenden Sie eine andere Karte.",
    "Your account with the payment provider cannot be charged. Please look into it there, or use"
    " another payment method.": "Ihr Konto beim Zahlungsanbieter kann nicht belastet werden. Bitte"
    " sehen Sie dort nach oder verwenden Sie ein anderes Zahlungsmittel.",
    "Your card has expired. Please use another card.": "Ihre Karte ist abgelaufen. Bitte verwenden"
    " Sie eine andere Karte.",
    "The card number is not correct. Please check it and enter the card again.": "Die Kartennummer"
    " ist nicht richtig. Bitte prüfen Sie sie und geben Sie die Karte noch einmal ein.",
    "The card's security code is not correct. Please check it and enter the card again.": "Die"
    " Prüfziffer der Karte ist nicht richtig. Bitte prüfen Sie sie und geben Sie die Karte noch"
    " einmal ein.",
    "The card's expiry date is not correct. Please check it and enter the card again.": "Das"
    " Ablaufdatum der Karte ist nicht richtig. Bitte prüfen Sie es und geben Sie die Karte noch"
    " einmal ein.",
    "The billing address is not correct. Please check it and enter the card again.": "Die"
    " Rechnungsadresse ist nicht richtig. Bitte prüfen Sie sie und geben Sie die Karte noch einmal"
    " ein.",
    "Your card asks for its PIN, which cannot be given here. Please use another card.": "Ihre Karte"
    " verlangt ihre PIN, die hier nicht eingegeben werden kann. Bitte verwenden Sie eine andere"
    " Karte.",
    "Your card cannot be used for this purchase. Please use another card.": "Ihre Karte kann für"
    " diesen Einkauf nicht verwendet werden. Bitte verwenden Sie eine andere Karte.",
    "Your card does not support this currency. Please use another card.": "Ihre Karte unterstützt"
    " diese Währung nicht. Bitte verwenden Sie eine andere Karte.",
    "This is a test card. Please use a real card.": "Das ist eine Testkarte. Bitte verwenden Sie"
    " eine echte Karte.",
    "This payment method cannot be used. Please use another one.": "Dieses Zahlungsmittel kann"
    " nicht verwendet werden. Bitte verwenden Sie ein anderes.",
    "This card cannot be used at the moment. Please use another payment method.": "Diese Karte kann"
    " zurzeit nicht verwendet werden. Bitte verwenden Sie ein anderes Zahlungsmittel.",
}

GERMAN: Final = Words(
    decimal_point=",",
    thousands=".",
    months=(
        *("Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September"),
        *("Oktober", "November", "Dezember"),
    ),
    date="{day}. {month} {year}, {time} Uhr {zone}",
    account="Konto",
    order="Bestellung",
    purpose="Für",
    amount="Betrag",
    refunded="Erstattet",
    means="Zahlungsmittel",
    at="Datum",
    customer="Kunde",
    payment="Zahlung",
    footer="Sie erhalten diese Mail wegen Ihrer Bestellung bei {shop}.",
    declines=_DECLINES,
    declined=_DECLINES["The payment was declined. Please use another payment method."],
    reasons={
        Reason.GATEWAY_MISMATCH: "Stripe zeigt einen anderen Betrag, eine andere Währung oder einen"
        " anderen Stand als verlangt. Ist kein Geld geflossen: abandon. Ist welches geflossen:"
        " refund, und mit dem Kunden klären.",
        Reason.LATE_MONEY: "Geld kam, nachdem die Zahlung ohne Geld geendet hatte. look_again lässt"
        " es gelten, wenn der Shop die Bestellung noch annimmt, und gibt es sonst zurück; oder"
        " refund.",
        Reason.GATEWAY_REFUSED: "Stripe weigert sich, das Zugehörige zu zeigen oder zu stornieren."
        " Bei Stripe in Ordnung bringen, dann look_again.",
        Reason.REFUND_FAILED: "Das Geld konnte nicht zurückgegeben werden.",
        Reason.RUN_LOST: "Ihr Lauf ist verschwunden, oder Stripe zeigt ihren Intent nicht."
        " look_again, falls der Kunde bezahlt haben könnte; abandon storniert den Intent und weist"
        " es nach.",
    },
)
