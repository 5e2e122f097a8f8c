"""Which currencies and amounts Stripe takes (its currencies page; amounts are minor units)."""

from paysaga.simulator.errors import ApiError, invalid, malformed

_CODES = """
aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd bwp byn bzd
cad cdf chf clp cny cop crc cve czk djf dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gnf gtq
gyd hkd hnl htg huf idr ils inr isk jmd jod jpy kes kgs khr kmf krw kwd kyd kzt lak lbp lkr lrd
lsl mad mdl mga mkd mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd omr pab pen pgk
php pkr pln pyg qar ron rsd rub rwf sar sbd scr sek sgd shp sle sos srd std szl thb tjs tnd top
try ttd twd tzs uah ugx usd uyu uzs vnd vuv wst xaf xcd xof xpf yer zar zmw
"""
_ZERO_DECIMAL_CODES = "bif clp djf gnf jpy kmf krw mga pyg rwf ugx vnd vuv xaf xof xpf"
_SUPPORTED = frozenset(_CODES.split())
_ZERO_DECIMAL = frozenset(_ZERO_DECIMAL_CODES.split())
_THREE_DECIMAL = frozenset({"bhd", "jod", "kwd", "omr", "tnd"})
_MINIMUM = {
    "aed": 200, "aud": 50, "bgn": 100, "brl": 50, "cad": 50, "chf": 50, "czk": 1500, "dkk": 250,
    "eur": 50, "gbp": 30, "hkd": 400, "huf": 17500, "inr": 50, "jpy": 50, "mxn": 1000, "myr": 200,
    "nok": 300, "nzd": 50, "pln": 200, "ron": 200, "sek": 300, "sgd": 50, "thb": 1000, "usd": 50,
}  # fmt: skip
_MINIMUM_ELSEWHERE = 50  # Stripe converts half a dollar; we have no exchange rates
_MAXIMUM = 99_999_999
_MAXIMUM_BY_CURRENCY = {"idr": 999_999_999_999}


def checked_currency(code: str) -> str:
    """Answer with the currency in Stripe's lower case, or refuse one it does not know."""
    lower = code.lower()
    if lower not in _SUPPORTED:
        raise malformed(f"Invalid currency: {code}.", param="currency")
    return lower


def check_amount(amount: int, currency: str, param: str = "amount") -> None:
    """Refuse what cannot be charged in that currency."""
    if amount < 1:
        raise not_positive(param)
    if currency in _THREE_DECIMAL and amount % 10:
        raise malformed(
            f"Invalid integer: {amount}. The last digit of an amount in {currency} must be 0.",
            code="parameter_invalid_integer",
            param=param,
        )
    least = _MINIMUM.get(currency, _MINIMUM_ELSEWHERE)
    if amount < least:
        raise invalid(
            f"Amount must be at least {shown(least, currency)}",
            code="amount_too_small",
            param=param,
        )
    most = _MAXIMUM_BY_CURRENCY.get(currency, _MAXIMUM)
    if amount > most:
        raise invalid(
            f"Amount must be no more than {shown(most, currency)}",
            code="amount_too_large",
            param=param,
        )


def not_positive(param: str) -> ApiError:
    """400: an amount of nothing."""
    return malformed(
        "This value must be greater than or equal to 1.",
        code="parameter_invalid_integer",
        param=param,
    )


def shown(amount: int, currency: str) -> str:
    """Write an amount for a person, in major units."""
    digits = 0 if currency in _ZERO_DECIMAL else 3 if currency in _THREE_DECIMAL else 2
    whole, rest = divmod(amount, 10**digits)
    return f"{whole}{'.' + str(rest).zfill(digits) if digits else ''} {currency}"
