"""`python -m paysaga.cli`: the same as `payment-cli`."""

from paysaga.cli.commands import main

if __name__ == "__main__":
    main()
