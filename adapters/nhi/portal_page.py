"""The page beside a file that a person uploads: what, when, with which card, and what then.

The steps are those of NHI's 「檢驗(查)結果每日上傳作業」 (seed S004, pp. 2-9). The page holds no
patient data: it may lie on a printer.
"""

from __future__ import annotations

from datetime import timedelta
from html import escape
from pathlib import Path

from mapping.package_name import parse_stem
from mapping.rocdate import roc_date

_PAGE = """\
<!DOCTYPE html>
<html lang="zh-Hant-TW">
<head>
<meta charset="utf-8">
<title>{stem}.zip</title>
<style>
@page {{ size: A4; margin: 18mm }}
body {{ font: 11pt/1.45 "Noto Sans TC", "Microsoft JhengHei", sans-serif; max-width: 46em;
       margin: 1.5em auto; color: #000; background: #fff }}
h1 {{ font-size: 15pt; margin: 0 0 .4em }}
h2 {{ font-size: 12pt; margin: 1.2em 0 .3em }}
table {{ border-collapse: collapse; margin: .6em 0 }}
th, td {{ border: 1px solid #000; padding: .25em .7em; text-align: left }}
code {{ font: 10pt/1.3 monospace; word-break: break-all }}
ol {{ margin: .3em 0; padding-left: 1.6em }}
@media print {{ body {{ margin: 0 }} }}
</style>
</head>
<body>
<h1>檢驗（查）結果每日上傳：請上傳此檔 · Please upload this file</h1>
<table>
<tr><th>檔案 File</th><td><code>{stem}.zip</code></td></tr>
<tr><th>醫事機構 Institution</th><td><code>{institution}</code></td></tr>
<tr><th>上傳日期 Upload date</th><td><b>{roc}</b>（{day}）</td></tr>
<tr><th>最後期限 Last day</th><td><b>{last_roc}</b>（{last}）</td></tr>
<tr><th>卡片 Card</th><td>{institution} 之醫事機構卡或獲授權之醫事人員卡（正式卡）<br>
The institution card of {institution}, or a professional's card with the right
(no test card)</td></tr>
</table>
<h2>步驟</h2>
<ol>
<li>以上列卡片登入健保資訊網服務系統（VPN）。</li>
<li>「檢驗(查)結果每日上傳作業」→「檢驗(查)結果項目資料上傳及查詢」。</li>
<li>上傳日期輸入 <b>{roc}</b>，選擇 <code>{stem}.zip</code>（勿更名、勿解壓縮），
按「開始上傳」。</li>
<li>記下收件序號，並登錄：<br>
<code>labbroker uploaded {stem} --by 姓名 --receipt-number 收件序號</code></li>
<li>約 30 分鐘後於「上傳案件相關檔案下載」下載檢核結果（網站僅保留 14 天），原檔放入：<br>
<code>{results}</code></li>
</ol>
<p>若未上傳：<code>labbroker uploaded {stem} --not --by 姓名</code>
（檔案將收回，紀錄重新封裝）。</p>
<h2 lang="en">Steps</h2>
<ol lang="en">
<li>Log in to NHI's VPN with the card above.</li>
<li>檢驗(查)結果每日上傳作業 → 檢驗(查)結果項目資料上傳及查詢.</li>
<li>Enter the upload date <b>{roc}</b>, choose <code>{stem}.zip</code> as it is,
press 開始上傳.</li>
<li>Note the receipt number and record it:<br>
<code>labbroker uploaded {stem} --by NAME --receipt-number NUMBER</code></li>
<li>After about 30 minutes download the check report (上傳案件相關檔案下載; kept 14 days)
and put it, as it came, into<br><code>{results}</code></li>
</ol>
<p lang="en">If it was not uploaded: <code>labbroker uploaded {stem} --not --by NAME</code>
(the file is taken back and its records are packed again).</p>
</body>
</html>
"""


def portal_page(stem: str, results: Path) -> str:
    """One printed page for the package ``stem``. Raises ``ValueError`` when it is no stem.

    h16's date is taken today or the day before alone (S004 p. 4), so the last day is the next.
    """
    name = parse_stem(stem)
    last = name.upload_on + timedelta(days=1)

    def slashed(roc: str) -> str:
        return f"{roc[:3]}/{roc[3:5]}/{roc[5:]}"

    return _PAGE.format(
        stem=stem,
        institution=name.institution_code,
        roc=slashed(roc_date(name.upload_on)),
        day=name.upload_on.isoformat(),
        last_roc=slashed(roc_date(last)),
        last=last.isoformat(),
        results=escape(str(results)),
    )
