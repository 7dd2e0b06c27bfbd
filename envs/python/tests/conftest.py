"""Options of the tests."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--ale-steps", type=int, default=250, help="steps of each comparison with ale-py")
    parser.addoption("--calls", type=int, default=20_000, help="random calls")
    parser.addoption("--resets", type=int, default=500, help="resets of the test for leaks")


@pytest.fixture
def ale_steps(request: pytest.FixtureRequest) -> int:
    return request.config.getoption("--ale-steps")


@pytest.fixture
def calls(request: pytest.FixtureRequest) -> int:
    return request.config.getoption("--calls")


@pytest.fixture
def resets(request: pytest.FixtureRequest) -> int:
    return request.config.getoption("--resets")
