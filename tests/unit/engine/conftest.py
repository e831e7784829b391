"""The checkout, the toolchain and the engine of stubs that tests of the command line have too."""

from tests.unit.cli.conftest import answering as answering
from tests.unit.cli.conftest import desk as desk
from tests.unit.cli.conftest import fakes as fakes
from tests.unit.cli.conftest import mesh as mesh
