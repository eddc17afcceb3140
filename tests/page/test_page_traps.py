"""Pages that hold no article, and articles that look like one of those."""

from __future__ import annotations

import time

import pytest

from digestd.errors import NoArticle, ParserFailed
from digestd.page.tree import MOST_TAGS
from page.pages import PARAGRAPHS, TITLE, article, page, read, refusal_of

SUMMARY = f"<p>{PARAGRAPHS[0]}</p>"
FEED = "".join(f"<p>{paragraph}</p>" for paragraph in PARAGRAPHS)

LONGER = "".join(f"<p>{paragraph.upper()} And again: {paragraph}</p>" for paragraph in PARAGRAPHS)

ROBOT_PAGES = {
    "cloudflare": page(
        "<h1>www.example.com</h1><p>Verifying you are human. This may take a few seconds.</p><p>www.example.com needs "
        "to review the security of your connection before proceeding.</p><noscript>Enable JavaScript and cookies to "
        "continue</noscript><p>Ray ID: 7d8f9a3bce</p><script>challenge()</script>",
        title="Just a moment...",
    ),
    "older cloudflare": page(
        "<h1>Checking your browser before accessing example.com.</h1><p>This process is automatic. Your browser "
        "will redirect to your requested content shortly.</p><p>Please allow up to 5 seconds…</p>"
        "<p>DDoS protection by X</p>",
        title="example.com",
    ),
    "captcha": page(
        "<p>Please complete the security check to access the site.</p><form><input name=captcha></form>",
        title="Attention Required!",
    ),
    "traffic": page(
        "<p>Our systems have detected unusual traffic from your computer network. This page checks to see if it's "
        "really you sending the requests, and not a robot. Why did this happen? The block will expire shortly after "
        "those requests stop. In the meantime, solving the above puzzle will let you continue to use our services.</p>"
    ),
    "denied": page(
        "<h1>Access Denied</h1><p>You don’t have permission to access this on this server. Reference #18.3f.</p>",
        title="Access Denied",
    ),
    "permission": page(f"<h1>{TITLE}</h1><p>You don’t have permission to access this page.</p>", title=TITLE),
    "title alone": page("<script>challenge()</script>", title="Just a moment..."),
    "heading": page("<h1>Access Denied</h1><p>The owner of this site has banned you.</p>", title="Site"),
}
SCRIPT_PAGES = {
    "nothing": '<html><head><script src="/app.js"></script></head><body><div id="root"></div></body></html>',
    "noscript": page(
        "<noscript>You need to enable JavaScript to run this app.</noscript><div id=app></div><script>run()</script>"
    ),
    "disabled": page("<p>JavaScript is disabled in your browser.</p><script>run()</script>", title=TITLE),
    "inline": f"<html><body><script>{'var x = 1;' * 1000}</script></body></html>",
    "words in scripts": page("<script>say('Please log in to continue')</script>"),
    "style": "<html><body><style>p { color: red }</style><script>run()</script></body></html>",
}
CONSENT_PAGES = {
    "before": page(
        "<h1>Before you continue to Example</h1><p>We use cookies and data to deliver and maintain services.</p>"
        "<button>Reject all</button><button>Accept all</button>"
    ),
    "partners": page(
        "<p>We value your privacy. We and our 842 partners store and access information on a device, such as cookies, "
        "and process personal data. You may click to consent to our processing as described above.</p>",
        title=TITLE,
    ),
    "left out by the extractor": page(
        '<div class="cookie-consent">We value your privacy</div><img src=a.png>'
    ),
    "german": page(
        "<p>Wir benötigen Ihre Zustimmung, um Inhalte und Werbung anzuzeigen.</p><button>Alle akzeptieren</button>"
    ),
}
LOGIN_PAGES = {
    "form": page(
        "<h1>Welcome back</h1><p>Please log in to your account.</p><form><label>Password</label><input type=password>"
        "</form><p>Forgot your password?</p><p>Wednesday, 1 July 2026, 10:33</p>",
        title="Log in – Example",
    ),
    "subscribers": page(
        f"<h1>{TITLE}</h1><p>This article is for subscribers only. Subscribe to continue reading.</p>",
        title=TITLE,
    ),
    "form alone": page("<form>You must be logged in.<input type=password><button>Go</button></form>"),
    "much beside": page(
        f"<p>Welcome to the place where all who work with routers meet, day and night.</p><p>Log in to go on.</p>"
        f"<p>Not yet one of us? Create an account.</p>"
        f"<p>{PARAGRAPHS[2]}</p>",
        title="Members of Example",
    ),
    "french": page(
        f"<h1>{TITLE}</h1><p>Cet article est réservé aux abonnés.</p><p>Connectez-vous</p>", title=TITLE
    ),
}


@pytest.mark.parametrize("name", ROBOT_PAGES)
def test_a_page_that_asks_for_a_human_is_told(name: str) -> None:
    assert refusal_of(ROBOT_PAGES[name]) == "the page asks whether we are a robot"


@pytest.mark.parametrize("name", SCRIPT_PAGES)
def test_a_page_of_scripts_is_told(name: str) -> None:
    assert refusal_of(SCRIPT_PAGES[name]) == "the page is empty without its scripts"


@pytest.mark.parametrize("name", CONSENT_PAGES)
def test_a_consent_wall_is_told(name: str) -> None:
    assert refusal_of(CONSENT_PAGES[name]) == "the page asks for consent before it shows the article"


@pytest.mark.parametrize("name", LOGIN_PAGES)
def test_a_login_wall_is_told(name: str) -> None:
    assert refusal_of(LOGIN_PAGES[name]) == "the page asks to log in before it shows the article"


@pytest.mark.parametrize(
    "html",
    [
        page("<img src=one.png><img src=two.jpg alt='The second'>"),
        page(
            "<article><figure><picture><img src=one.webp></picture></figure></article><script>count()</script>"
        ),
    ],
)
def test_a_page_of_images_is_told(html: str) -> None:
    assert refusal_of(html) == "the page holds images and no text"


def test_a_pixel_that_counts_readers_is_no_image() -> None:
    counted = page('<img width="1" height="1" src="/count"><script>run()</script>')
    assert refusal_of(counted) == "the page is empty without its scripts"


@pytest.mark.parametrize(
    ("html", "reason"),
    [
        (b"", "the page is empty"),
        (b" \n ", "the page is empty"),
        (b"<!-- nothing -->", "the page is empty"),
        (b"<html><body></body></html>", "the page holds no text of an article"),
        (b"<html><frameset><frame src=a></frameset></html>", "the page holds no text of an article"),
        (b'<script type="application/ld+json">{}</script>', "the page holds no text of an article"),
    ],
)
def test_an_empty_page_is_told(html: bytes, reason: str) -> None:
    assert refusal_of(html) == reason


@pytest.mark.parametrize(
    "sentence",
    [
        "A new wave of fake pages tells readers to verify you are human and to press & hold a button; what follows "
        "installs a program that steals passwords.",
        "A flaw in a plug-in for cookie consent lets anyone log in to the site as its owner, and accept all cookies "
        "for other people.",
        "The browser now asks you to enable JavaScript for each site, and a captcha check follows in every second "
        "case, the vendor says.",
        "Members only: a leak from a forum for subscribers shows how the group works. To continue reading its posts "
        "one had to sign in to a second server.",
    ],
)
def test_a_short_article_about_walls_is_no_wall(sentence: str) -> None:
    rest = "The update of the plug-in came out on Tuesday, and the company thanks the two researchers who told it so."
    text = f"<article><h1>{TITLE}</h1><p>{sentence}</p><p>{rest} {rest.upper()}</p></article>"
    assert rest in read(page(text, title=f"{TITLE} | Example News")).text


def test_a_short_article_under_another_headline_is_no_wall() -> None:
    text = f"<article><p>{PARAGRAPHS[0]} They can then log in to the device at any time.</p></article>"
    assert "log in to the device" in read(page(text, title="Update your router today"), title=TITLE).text


def test_a_single_sentence_of_an_author_is_no_wall() -> None:
    sentence = (
        "A flaw in the web interface of home routers of three vendors lets anyone on the same network log in to the "
        "device as its administrator with one crafted request, the vendors said on Tuesday when they gave out updates."
    )
    assert read(page(f"<article><p>{sentence}</p></article>", title=TITLE)).text == sentence


def test_a_long_text_is_no_wall() -> None:
    phrases = "<p>You can log in to the device. Then create an account.</p>"
    short, long = (page(f"<article>{FEED}{more}{phrases}</article>", title="Site") for more in ("", LONGER))
    assert refusal_of(short) == "the page asks to log in before it shows the article"
    assert "Then create an account" in read(long).text


def test_without_a_title_to_compare_an_article_is_no_wall() -> None:
    phrases = "<p>You can log in to the device. Then create an account.</p>"
    assert "Then create an account" in read(page(f"<article>{FEED}{phrases}</article>"), title="").text


def test_a_phrase_in_the_article_s_own_title_is_not_held_against_it() -> None:
    title, text = "How to log in to any router", "The patch for the router is out, install it today."
    post = page(f"<article><p>{text}</p></article>", title=title)
    assert read(post, title=title, feed_html="<p>The patch…</p>").text == text


def test_a_page_that_gives_less_than_the_feed_is_a_stub() -> None:
    stub = page(f"<article><p>{PARAGRAPHS[1]}</p></article>", title=TITLE)
    given, expected = len(PARAGRAPHS[1]), len(" ".join(PARAGRAPHS))
    reason = f"the page gives less of the article than the feed: {given} of {expected} characters"
    assert refusal_of(stub, feed_html=FEED) == reason


def test_a_page_without_the_footer_of_its_feed_is_no_stub() -> None:
    footer = "<p>The post appeared first on our site, where more of the kind is to be found every day of the week.</p>"
    assert PARAGRAPHS[2] in read(article(), feed_html=FEED + footer).text


def test_what_is_shorter_than_the_feed_in_other_words_is_a_stub() -> None:
    other = page(
        "<p>" + "Quite other words fill this page to the very last of them. " * 9 + "</p>", title=TITLE
    )
    expected = len(" ".join(PARAGRAPHS))
    reason = f"the page gives less of the article than the feed: 530 of {expected} characters"
    assert refusal_of(other, feed_html=FEED) == reason


def test_a_short_feed_is_no_measure() -> None:
    short = page("<p>" + "Words of the page go on. " * 6 + "</p>", title=TITLE)
    assert read(short, feed_html=PARAGRAPHS[0][:199]).text
    assert refusal_of(short, feed_html=PARAGRAPHS[0][:200]).startswith("the page gives less")


@pytest.mark.parametrize("feed_html", ["", "<p>Home</p>", SUMMARY])
def test_a_page_of_its_title_is_told(feed_html: str) -> None:
    titled = page(f"<article><h1>{TITLE}</h1></article>", title=TITLE)
    assert refusal_of(titled, feed_html=feed_html) == "the page says little more than its title or menu"


def test_a_menu_is_told() -> None:
    menu = page("<p>Home, News, About us, Contact, Imprint, Jobs and more</p>", title=TITLE)
    assert refusal_of(menu) == "the page says little more than its title or menu"


def test_a_short_post_is_kept_where_the_feed_gives_less() -> None:
    text = "The patch for the router is out, install it today."
    post = page(f"<article><p>{text}</p></article>", title=TITLE)
    assert read(post, feed_html="<p>The patch…</p>").text == text


def test_a_short_text_without_spaces_is_judged_by_its_characters() -> None:
    text = "今週、家庭用ルーターの管理画面に重大な欠陥が見つかり、三社が更新版を公開した。"
    post = page(f"<article><p>{text}</p></article>", title="ルーターの欠陥")
    assert read(post, title="ルーターの欠陥").text == text


def test_few_long_words_are_no_menu() -> None:
    text = "Sicherheitsaktualisierungen für Netzwerkvermittlungsgeräte " * 4
    assert read(page(f"<article><p>{text}</p></article>", title=TITLE)).text == text.strip()


def test_more_than_five_megabytes_are_refused() -> None:
    start = time.perf_counter()
    with pytest.raises(ParserFailed, match=r"^the page has more than 5 MB of HTML$"):
        read(b"<p>" + b"a" * 50_000_000)
    assert time.perf_counter() - start < 1


def test_a_million_tags_are_refused_at_once() -> None:
    start = time.perf_counter()
    with pytest.raises(ParserFailed, match=r"^the page has more than 100,000 tags$"):
        read(b"<b>x" * 1_000_000)
    assert time.perf_counter() - start < 1


def test_as_many_tags_as_are_taken_take_bounded_time() -> None:
    start = time.perf_counter()
    with pytest.raises(NoArticle):
        read("<meta>" * (MOST_TAGS - 1))
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize("tag", ["div", "b", "table><tr><td", "ul><li", "blockquote", "made-up", "font"])
def test_nested_tags_are_refused_at_once(tag: str) -> None:
    opened = f"<{tag}>" * (MOST_TAGS // 4)
    start = time.perf_counter()
    with pytest.raises(ParserFailed, match=r"^the page is nested more than 256 elements deep$"):
        read(opened + "text" + "</div>" * 1000)
    assert time.perf_counter() - start < 1


def test_two_hundred_levels_are_read() -> None:
    assert PARAGRAPHS[0] in read(article(before="<div>" * 200, after="</div>" * 200)).text


def test_a_huge_attribute_is_read_over() -> None:
    assert PARAGRAPHS[0] in read(article(before=f'<div title="{"x" * 2_000_000}"></div>')).text


@pytest.mark.parametrize(
    "written",
    ["\x00", "\x0c", "\x1f", "\ufffe", "\ud800", "&#0;", "&#xD800;", "&#000012;", "&#x1F", "&#xFFFF;"],
)
def test_characters_that_no_database_takes_are_left_out(written: str) -> None:
    text = read(article(before=f"<p title='{written}'>x</p>").replace("crafted", f"cra{written} fted")).text
    assert PARAGRAPHS[1] in text
    assert not set(text) & {"\x00", "\x0c", "\x1f", "\ufffe", "\uffff"}
    text.encode()


def test_characters_written_as_references_are_kept() -> None:
    assert "one café ’ € request" in read(article().replace("crafted", "caf&#233; &#x2019; &#128;")).text


def test_entities_are_never_defined() -> None:
    declaration = '<!DOCTYPE html [<!ENTITY a "boom"><!ENTITY b SYSTEM "file:///etc/passwd">]>'
    text = read(article().replace("<!DOCTYPE html>", declaration).replace("crafted", "&a;&b;")).text
    assert "by way of one &a;&b; request" in text


def test_an_html_element_that_is_closed_at_once_is_opened() -> None:
    assert PARAGRAPHS[0] in read(article(attributes='lang="en"/')).text


def test_a_page_that_breaks_its_extractor_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("x" * 1000)

    monkeypatch.setattr("digestd.page.article.bare_extraction", broken)
    with pytest.raises(ParserFailed) as caught:
        read(article())
    assert str(caught.value) == f"trafilatura cannot read the page: KeyError: '{'x' * 199}"
