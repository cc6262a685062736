"""People, departments, who belongs to which, the audiences that decide who reads what, and keys of programs."""

from apps.accounts.models.api_keys import ApiKey as ApiKey
from apps.accounts.models.audiences import Audience as Audience
from apps.accounts.models.audiences import AudienceMember as AudienceMember
from apps.accounts.models.departments import Department as Department
from apps.accounts.models.departments import Membership as Membership
from apps.accounts.models.users import User as User
from apps.accounts.models.users import UserManager as UserManager
