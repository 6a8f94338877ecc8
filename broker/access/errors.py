"""What can be wrong with what is asked about people and tokens."""

from __future__ import annotations

from mapping.errors import LabbrokerError


class PersonUnknown(LabbrokerError):
    code = "person-unknown"
    en = ("There is nobody with the login {login}.", "Look at `labbroker people list`.")
    zh = ("沒有帳號 {login}。", "請以 `labbroker people list` 查看帳號。")


class LoginTaken(LabbrokerError):
    code = "login-taken"
    en = ("The login {login} is in use.", "Take another login, or `labbroker people reset` it.")
    zh = ("帳號 {login} 已存在。", "請改用其他帳號，或以 `labbroker people reset` 重設。")


class LoginUnusable(LabbrokerError):
    code = "login-unusable"
    en = (
        "This login cannot be used.",
        "Take 2 to 64 small letters, digits, dots, hyphens, underscores or @; no national id.",
    )
    zh = ("此帳號名稱不可使用。", "請用 2 至 64 個小寫英文字母、數字或 . - _ @，勿用身分證號。")


class InstitutionsNeeded(LabbrokerError):
    code = "institutions-needed"
    en = (
        "A person of the role {role} must belong to institutions.",
        "Name each with --institution (or, for a laboratory's source, its id).",
    )
    zh = ("角色 {role} 必須指定所屬機構。", "請以 --institution 指定機構代碼（或檢驗所來源代號）。")


class LastOperator(LabbrokerError):
    code = "last-operator"
    en = (
        "{login} is the last operator who can sign in.",
        "Add another operator first: somebody must be able to run this broker.",
    )
    zh = ("{login} 是最後一位可登入的管理者。", "請先新增另一位管理者。")


class TokenUnknown(LabbrokerError):
    code = "token-unknown"
    en = ("There is no token {number}.", "Look at `labbroker token list`.")
    zh = ("沒有編號 {number} 的權杖。", "請以 `labbroker token list` 查看。")


class ScopeUnknown(LabbrokerError):
    code = "scope-unknown"
    en = (
        "{scope} is no permission of {login}.",
        "Take of: {choices}.",
    )
    zh = ("{scope} 不是 {login} 的權限。", "可用權限：{choices}。")


class CertificateTaken(LabbrokerError):
    code = "certificate-taken"
    en = (
        "This certificate is known already, by token {number}.",
        "Take another certificate; one whose token was revoked opens nothing again.",
    )
    zh = (
        "此憑證已登錄於編號 {number} 的權杖。",
        "請改用其他憑證；已撤銷者不得再次啟用。",
    )
