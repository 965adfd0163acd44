"""Configurations in the unit cube: every place is a value, and every value has its place."""

from hypothesis import example, given
from hypothesis import strategies as st

from search_spaces import Domain, Float
from study.search.encoding import from_unit, to_unit
from tests.search_spaces.test_space import domains


@given(domains(), st.floats(0.0, 1.0))
@example(Float(low=0.3, high=0.9), 1.0)  # 0.3 + (0.9 - 0.3) > 0.9
def test_a_place_is_a_value_of_the_domain(domain: Domain, place: float) -> None:
    assert from_unit(domain, place) in domain


@given(domains(finite=True), st.data())
def test_a_value_of_a_finite_domain_is_found_at_its_place(domain: Domain, data: st.DataObject) -> None:
    value = data.draw(st.sampled_from(domain.finite()))
    assert 0 <= to_unit(domain, value) <= 1
    assert from_unit(domain, to_unit(domain, value)) == value
