"""A list of a thousand rows stays quick to change."""

import pytest
from playwright.async_api import expect

pytestmark = pytest.mark.asyncio(loop_scope="session")
MANY = """() => {
  const list = document.getElementById("rows"), row = document.querySelector("[data-row]:has(rect)");
  for (let n = 0; n < 1000; n++) list.append(row.cloneNode(true));
}"""
TOOK = """(what) => {
  const list = document.getElementById("rows"), root = document.documentElement, took = [];
  for (let n = 0; n < 9; n++) {
    document.body.offsetHeight;
    const began = performance.now();
    if (what === "row") list.insertBefore(list.children[300 + n], list.children[3]);
    else root.style.fontSize = n % 2 ? "16px" : "17px";
    getComputedStyle(list.lastElementChild.querySelector("rect")).strokeWidth;
    took.push(performance.now() - began);
  }
  return Math.min(...took);
}"""
"""Milliseconds until all has its style after one row has moved, or after the size of all letters has changed."""


async def test_a_row_that_moves_costs_a_part_of_what_it_takes_to_style_a_thousand_rows(browse):
    page = await browse("/account", role="viewer", quiet=False, alone=True)
    await page.route("**/stream?*", lambda route: route.abort())  # else the list would be drawn anew meanwhile
    await page.goto("/w/default")
    await expect(page.locator("[data-row] rect").first).to_be_visible()
    await page.evaluate(MANY)
    one, all_ = await page.evaluate(TOOK, "row"), await page.evaluate(TOOK, "all")
    assert one < all_ / 2, (one, all_)
