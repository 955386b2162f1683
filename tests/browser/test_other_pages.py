"""Pages of other origins, which bring the module from the service."""

import pytest
from playwright.async_api import expect

from evibridge.engine.hearing.ears import WhisperEars
from tests.browser.conftest import Visit
from tests.browser.shop import CUSTOMER, Shop
from tests.browser.visitor import Transport
from tests.processes import Running

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.timeout(150)]


@pytest.mark.parametrize("transport", ["webrtc", "websocket"])
async def test_the_page_of_the_documentation_calls_by_either_transport(
    transport: Transport, service: Running, shop: Shop, ears: WhisperEars, visit: Visit
) -> None:
    customer = await visit(origin=shop.origin)
    await customer.opens(shop.page_for(transport))

    await customer.presses("Talk to us")

    call_id = await customer.call_id(transport)
    said = customer.page.locator("#said li")
    await expect(said.first).to_have_text("agent: Good day, this is the Paper Lantern book shop.")
    await customer.told("heard", complete=True)
    assert "lantern" in (await (await customer.heard()).words(ears)).lower()
    (began,) = service.logged("call_began", call_id=call_id)
    assert CUSTOMER not in str(began)
