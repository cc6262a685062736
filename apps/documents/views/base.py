"""What the views of documents share: how a request is refused, and what is searched for."""

from django.http import HttpRequest, JsonResponse


def refused(code: str, message: str, status: int = 400) -> JsonResponse:
    """Return a refusal: `code` is for programs, the message for the person."""
    return JsonResponse({"error": {"code": code, "message": message}}, status=status)


def searched(request: HttpRequest, name: str) -> str:
    """Return what is searched for, without the NUL no text in the database can have."""
    return request.GET.get(name, "").replace("\x00", "").strip()
