"""The pages of chat and their small JSON answers; what streams is in `streams`."""

from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.accounts.models import Department
from apps.accounts.requests import SignedInRequest
from apps.accounts.services import AccountsError
from apps.billing import tags
from apps.billing.tags import TagNotAllowedError
from apps.caching import http
from apps.chat import composer, conversations, export, forms, pages, services
from apps.chat.message_views import citation_view
from apps.chat.models import Citation, Conversation, Message
from apps.chat.streams import error_response
from apps.chat.tree import Tree
from apps.documents.models import Document, Page

# What is shown around a cited passage, and how many pages that may touch (slides can be short).
AROUND_CHARACTERS = 600
MOST_PAGES = 12


def _own_conversation(request: SignedInRequest, pk: UUID) -> Conversation:
    conversations_of_user = Conversation.objects.visible_to(request.user).select_related(
        "paying_department"
    )
    return get_object_or_404(conversations_of_user, pk=pk)


def _leaf(request: HttpRequest) -> UUID | None:
    try:
        return UUID(request.GET["leaf"]) if "leaf" in request.GET else None
    except ValueError as error:
        raise Http404 from error


def _query(request: HttpRequest) -> str:
    """Return what is searched for, without the NUL no text in the database can have."""
    return request.GET.get("q", "").replace("\x00", "").strip()


def _list_arguments(request: HttpRequest) -> dict[str, Any]:
    return {
        "query": _query(request),
        "is_archived": request.GET.get("archived") == "1",
    }


@require_GET
@login_required
def new(request: SignedInRequest) -> HttpResponse:
    """Show an empty conversation; nothing is stored before the first question."""
    return _page(request, None)


@require_GET
@login_required
def conversation_detail(request: SignedInRequest, pk: UUID) -> HttpResponse:
    """Show a conversation, on the branch last used or the one asked for."""
    tree = pages.own_tree(request.user, pk)
    if tree is None:
        raise Http404
    return _page(request, tree)


def _page(request: SignedInRequest, conversation: Tree | None) -> HttpResponse:
    arguments = _list_arguments(request)
    context = pages.conversation_page(
        user=request.user,
        conversation=conversation,
        leaf=_leaf(request),
        query=arguments["query"],
        is_archived_list=arguments["is_archived"],
    )
    return http.page(request, "chat/conversation.html", context)


@require_GET
@login_required
def conversation_list(request: SignedInRequest) -> HttpResponse:
    """Answer one page of the list as a fragment."""
    arguments = _list_arguments(request)
    after = request.GET.get("after", "")
    try:
        page = conversations.list_page(user=request.user, after=after, **arguments)
    except conversations.CursorError as error:
        raise Http404 from error
    context = {
        "conversations": page,
        "query": arguments["query"],
        "archived": arguments["is_archived"],
    }
    return http.fragment(request, "chat/_conversation_list.html", context)


@require_POST
@login_required
def conversation_update(request: SignedInRequest, pk: UUID) -> HttpResponseBase:
    """Rename a conversation, put it away or bring it back; who pays for it is fixed."""
    conversation = _own_conversation(request, pk)
    form = forms.UpdateForm(request.POST)
    if "department" in request.POST:
        return error_response(
            "invalid", _("Who pays for a conversation is fixed once it has begun."), 400
        )
    if not form.is_valid():
        return error_response("invalid", forms.first_error(form), 400)
    if form.cleaned_data["title"].strip():
        services.rename(conversation=conversation, title=form.cleaned_data["title"].strip())
    elif "title" in request.POST:
        return error_response("invalid", _("A conversation needs a title."), 400)
    if form.cleaned_data["is_archived"] is not None:
        services.set_archived(
            conversation=conversation, is_archived=form.cleaned_data["is_archived"]
        )
    return JsonResponse(
        {
            "id": str(conversation.pk),
            "title": conversation.title,
            "is_archived": conversation.is_archived,
        }
    )


@require_http_methods(["GET", "POST"])
@login_required
def cost_tags(request: SignedInRequest, pk: UUID) -> HttpResponseBase:
    """Answer the tags a conversation's cost may carry as a fragment, or set them."""
    user, conversation = request.user, _own_conversation(request, pk)
    if request.method == "POST":
        try:
            services.set_cost_tags(
                user=user, conversation=conversation, codes=request.POST.getlist("tags")
            )
        except TagNotAllowedError as error:
            return error_response("tag_not_allowed", str(error), 400)
        return JsonResponse({"tags": conversation.cost_tags})
    may_set = [
        tag.code for tag in tags.allowed(user=user, department=conversation.paying_department)
    ]
    context = {
        "codes": sorted({*may_set, *conversation.cost_tags}),
        "chosen": conversation.cost_tags,
        "department": conversation.paying_department.name,
    }
    return http.fragment(request, "chat/_cost_tags.html", context)


@require_POST
@login_required
def conversation_delete(request: SignedInRequest, pk: UUID) -> HttpResponseBase:
    """Delete a conversation and say where to go."""
    services.delete(conversation=_own_conversation(request, pk))
    return JsonResponse({"url": reverse("chat:new")})


@require_POST
@login_required
def feedback(request: SignedInRequest, message_id: UUID) -> HttpResponseBase:
    """Set or take back the judgement of a reply."""
    reply = get_object_or_404(Message.objects.visible_to(request.user), pk=message_id)
    form = forms.FeedbackForm(request.POST)
    if not form.is_valid():
        return error_response("invalid", forms.first_error(form), 400)
    try:
        given = services.give_feedback(
            reply=reply,
            is_positive=form.cleaned_data["is_positive"],
            reason=form.cleaned_data["reason"],
            comment=form.cleaned_data["comment"],
        )
    except services.ChatError as error:
        return error_response(error.code, str(error), 400)
    return JsonResponse(
        {
            "is_positive": given.is_positive if given else None,
            "reason": given.reason if given else "",
        }
    )


@require_GET
@login_required
def citation(request: SignedInRequest, pk: int) -> HttpResponseBase:
    """Answer the text behind a citation, if the person may read its document now."""
    user = request.user
    cited = get_object_or_404(Citation.objects.filter(message__conversation__user=user), pk=pk)
    readable = set(
        Document.objects.visible_to(user)
        .filter(pk__in=[cited.document_id])
        .values_list("pk", flat=True)
    )
    view = citation_view(cited, readable)
    before, text, after = _cited_text(cited) if view.is_available else ("", "", "")
    is_available = bool(text)
    return http.data(
        request,
        {
            "is_available": is_available,
            "document_name": view.document_name,
            "page_number": view.page_number,
            "before": before,
            "text": text,
            "after": after,
            "url": view.url if is_available else "",
        },
    )


def _cited_text(cited: Citation) -> tuple[str, str, str]:
    """Return the version's text before, in and after the citation, put together from its pages."""
    start, end = cited.start_offset, cited.end_offset
    first, last = max(start - AROUND_CHARACTERS, 0), end + AROUND_CHARACTERS
    touched = Page.objects.filter(version_id=cited.version_id, start_offset__lt=last).order_by(
        "-start_offset"
    )
    text, text_start = "", last
    for page in touched[:MOST_PAGES]:
        gap = max(text_start - page.start_offset - len(page.text), 0) if text else 0
        text, text_start = page.text + "\n" * gap + text, page.start_offset
        if text_start <= first:
            break
    return tuple(
        text[max(at - text_start, 0) : max(until - text_start, 0)]
        for at, until in ((first, start), (start, end), (end, last))
    )  # type: ignore[return-value]  # three pairs give three texts


@require_GET
@login_required
def export_conversation(request: SignedInRequest, pk: UUID, kind: str) -> HttpResponse:
    """Download a conversation."""
    conversation = _own_conversation(request, pk)
    if kind not in {"md", "json"}:
        raise Http404
    if kind == "md":
        text, content_type = (
            export.as_markdown(user=request.user, conversation=conversation),
            "text/markdown",
        )
    else:
        text, content_type = export.as_json(conversation=conversation), "application/json"
    response = HttpResponse(text, content_type=f"{content_type}; charset=utf-8")
    name = slugify(conversation.title) or "conversation"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.{kind}"'
    response.headers["Cache-Control"] = http.NOT_KEPT
    return response


@require_POST
@login_required
def price(request: SignedInRequest) -> HttpResponseBase:
    """Answer what the question in the composer is expected to cost, and what its budget has left."""
    user, form = request.user, forms.PriceForm(request.POST)
    if not form.is_valid():
        return error_response("invalid", forms.first_error(form), 400)
    data = form.cleaned_data
    conversation = (
        _own_conversation(request, data["conversation"]) if data["conversation"] else None
    )
    sources = data["sources"] or (conversation.sources if conversation else "")
    typed = composer.Typed(
        content=data["content"],
        sources=sources or str(Conversation.Sources.ALL),
        is_follow_up=conversation is not None and data["parent"] != services.ROOT,
        conversation=conversation,
        department_id=data["department"],
    )
    try:
        told = composer.told(user, typed)
    except Department.DoesNotExist as error:
        raise Http404 from error
    except AccountsError:
        # The page says so already.
        told = {"price": "", "budget": "", "level": ""}
    return JsonResponse(told, headers={"Cache-Control": http.NOT_KEPT})


@require_GET
@login_required
def palette(request: SignedInRequest) -> JsonResponse:
    """Answer what the command palette finds."""
    found = conversations.palette(user=request.user, query=_query(request))
    return JsonResponse({"results": found})
