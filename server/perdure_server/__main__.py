"""`python -m perdure_server`: the command `perdure`."""

from perdure_server.cli.main import main

if __name__ == "__main__":
    main()
