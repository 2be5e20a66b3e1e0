"""`python container/image/build.py --base bootstrap|REF`: builds the image (README.md beside this file)."""

import sys

from polecat_image.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
