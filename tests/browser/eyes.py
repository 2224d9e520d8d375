"""What is looked at on every page, whoever opens it: that it is quiet, that nothing in it is active, that it fits."""

from dataclasses import dataclass, field

from playwright.async_api import BrowserContext, Page

SLOW_MS = 20_000
PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
ALIENS = """() => {
  const found = [];
  const never = "iframe, frame, object, embed, base, img, audio, video, applet, style, template, math, marquee, meta[http-equiv]";
  for (const one of document.querySelectorAll(never)) found.push(`element ${one.outerHTML.slice(0, 200)}`);
  for (const one of document.querySelectorAll("script")) {
    if (!(one.getAttribute("src") || "").startsWith("/static/") || one.textContent) found.push(`script ${one.outerHTML.slice(0, 200)}`);
  }
  for (const one of document.querySelectorAll("*")) {
    for (const attribute of one.attributes) {
      const active = /^on/i.test(attribute.name) || attribute.name === "style"
        || (/^(href|src|action|formaction|xlink:href|srcdoc)$/i.test(attribute.name) && /^\\s*(javascript|data|vbscript):/i.test(attribute.value))
        || (/^(action|formaction|src|hx-get|hx-post)$/i.test(attribute.name) && !/^\\/(?!\\/)/.test(attribute.value));
      if (active && !(one.tagName === "FORM" && attribute.value === "")) found.push(`attribute ${attribute.name}=${attribute.value.slice(0, 200)}`);
    }
  }
  for (const one of document.querySelectorAll("a[href]")) {
    if (/(^|\\.)evil\\.example/.test(one.hostname)) found.push(`link to ${one.href}`);
  }
  return found;
}"""
"""Elements and attributes that no page of Luota has, and that a text could bring in."""
TOO_WIDE = """() => document.documentElement.scrollWidth <= innerWidth ? []
  : [...document.querySelectorAll("body *")].filter((one) => one.getBoundingClientRect().right > innerWidth + 1)
    .filter((one) => { for (let up = one.parentElement; up !== document.body; up = up.parentElement) if (getComputedStyle(up).overflowX !== "visible") return false; return true; })
    .slice(0, 5).map((one) => one.outerHTML.slice(0, 160)).concat("wider than the screen")"""
AXE = """async (rules) => {
  const options = { resultTypes: ["violations"], preload: false };
  if (rules.length) options.runOnly = { type: "rule", values: rules };
  const { violations } = await axe.run(document, options);
  return violations.filter((one) => one.impact === "serious" || one.impact === "critical")
    .map((one) => `${one.id}: ${one.help}: ` + one.nodes.slice(0, 4).map((node) => node.html.slice(0, 200)).join(" | "));
}"""


@dataclass
class Tab:
    """A page, and all that it said which a quiet one does not say."""

    page: Page
    base: str
    said: list[str] = field(default_factory=list)

    async def aliens(self) -> list[str]:
        return await self.page.evaluate(ALIENS)

    async def too_wide(self) -> list[str]:
        return await self.page.evaluate(TOO_WIDE)

    async def violations(self, axe: str, rules: tuple[str, ...] = ()) -> list[str]:
        """Serious and critical ones of axe-core, whose source is `axe`; of all its rules unless some are named."""
        if not await self.page.evaluate("'axe' in window"):
            await self.page.evaluate(axe)  # by the debugger, which no policy of the page forbids
        return await self.page.evaluate(AXE, list(rules))

    async def faults(self, axe: str) -> list[str]:
        """What is wrong with the page as it is: in the light theme here, in the dark one on a phone, and in itself."""
        found = [f"light: {one}" for one in await self.violations(axe)]
        await self.page.emulate_media(color_scheme="dark")
        await self.page.set_viewport_size(PHONE)
        found += [f"dark: {one}" for one in await self.violations(axe, ("color-contrast",))]
        return found + [f"on a phone: {one}" for one in await self.too_wide()] + await self.aliens()


async def new_tab(context: BrowserContext, base: str, *, alone: bool = False) -> Tab:
    """Open a page that notes what is said on its console, what fails, what asks, and whom else it calls.

    With `alone` the pages of the context have streams of their own, as where there are no shared workers (Chrome on
    Android): only then are they requests of the page, which a test can hold up, and by its clock.
    """
    if alone:
        await context.add_init_script("delete window.SharedWorker")
    tab = Tab(await context.new_page(), base)
    page, said = tab.page, tab.said
    page.set_default_timeout(SLOW_MS)
    await page.emulate_media(reduced_motion="reduce")  # what pulses is drawn sixty times a second in each open page
    page.on("console", lambda message: said.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: said.append(f"error: {error}"))

    def called(request):
        if not request.url.startswith(f"{base}/"):
            said.append(f"a request to elsewhere: {request.url}")

    def failed(request):
        if request.failure != "net::ERR_ABORTED":  # that is leaving a page with its stream open
            said.append(f"failed: {request.url}: {request.failure}")

    async def asked(dialog):
        said.append(f"dialog: {dialog.message}")
        await dialog.dismiss()

    page.on("request", called)
    page.on("requestfailed", failed)
    page.on("dialog", asked)
    return tab
