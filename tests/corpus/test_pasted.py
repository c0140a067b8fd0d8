import time

import pytest

from aitwin.corpus import pasted


@pytest.mark.parametrize(
    "text",
    [
        "danke!!",
        "haha 😂😂😂",
        "omg!!!!",
        "❤️❤️❤️ you too",
        "😂",
        ":)",
        ";)",
        ")))",
        "¯\\_(ツ)_/¯ (╯°□°)╯︵ ┻━┻",
        ">_< ^^ <3 <3 <3 :-* xD =)",
        "10:30?",
        "7:30 pm, gate 14",
        "Ok, 3x M8x40, 2x M6x20 and 1 m of 12 mm rope.",
        "I paid $45.20 on 14/03 (ref. #4471-22/B) = 90.40 € in total.",
        "+44 7700 900123, 555-1234",
        "10.30, 11.15, 12.00",
        "1) yes\n2) no\n3) 14:30",
        "- 2 onions\n- 500 g flour\n- 3 eggs",
        "Mon 10:00 boat\nTue 14:30 Reg\nWed 09:15 dentist",
        "कल सुबह दस बजे नाव के पास मिलते हैं, पंप लेकर आना।",
        "আগামীকাল সকালে দেখা হবে, পাম্প নিয়ে এসো।",
        "நாளை காலை பத்து மணிக்கு படகு அருகே சந்திப்போம்.",
        "พรุ่งนี้เช้าเจอกันที่ท่าเรือนะครับ",
        "ព្រឹកស្អែកជួបគ្នានៅកំពង់ផែ",
        "မနက်ဖြန် တွေ့မယ်",
        "نلتقي غدًا في العاشرة عند القارب؟",
        "נפגש מחר בעשר ליד הסירה.",
        "明日の朝十時に船の前で会いましょう！",
        "내일 아침 열 시에 배 앞에서 만나요~~",
        "https://example.org/a?b=c&d=e;f=[g]",
        "Bring the pump (the old one);\nI bring the hose;\nReg brings nothing.",
        "let me see (soon)",
        "public transport (bus) or the car",
        "if you come (and I hope so), bring {something} nice",
        "First one.  Then two.  Then three.\nAgain.  And two.  And three.\nOh.  Well.  No.",
        "I think 0x10 is right, and 0x20 is not: the register at 0x80001234 says so.",
        "make sure the cat is at the vet/home by 10",
        "WARNING: the water is cold",
        "Import duties from Spain import nothing",
        "return it to me, please;",
        "<grin> no.",
        "$ is weak today",
    ],
)
def test_what_people_write_is_not_pasted(text):
    """C3: no script, sign or number makes a reply code."""
    assert pasted.share(text) == 0


@pytest.mark.parametrize(
    "text",
    [
        "diff --git a/x.c b/x.c\n--- a/x.c\n+++ b/x.c\n@@ -1 @@\n-  old word\n+  new word\nmo",
        "int main(void)\n{\n    int x = 0;\n    puts(\"hi\");\n    return x;\n}",
        "def f(x):\n    if x == 3:\n        return g(x)\n    print(x)",
        "import os\nfrom pathlib import Path\n\nfor line in lines:\n    print(line.strip())",
        '{\n  "name": "boat",\n  "dry": false,\n  "oars": [1, 2]\n}',
        "SELECT name FROM boats WHERE dry = 1;",
        '<div class="boat">\n<p>wet</p>\n</div>',
        "$ ls -l /var/log\n$ sudo make install",
        "root@boat:~# cat /etc/fstab",
        "2024-01-03 08:00:00,123 INFO pump started\n2024-01-03 08:00:01,007 WARN pump wet",
        "Jan  3 08:00:00 boat kernel: usb 1-1: new device\nJan  3 08:00:01 boat sshd[22]: bye",
        "[   12.345678] Oops: kernel access\n[   12.345690] Call trace",
        "[INFO] [UHD] linux; GNU C++ version 9\n[ERROR] [X300] no packet",
        'Traceback (most recent call last):\n  File "x.py", line 3, in f\n    g()\nValueError: no',
        "x.c:12:3: error: expected expression\nmake: *** [all] Error 2",
        "00000000: 7f45 4c46 0201 0100\n00000010: 0300 3e00 0100 0000",
        "epc : 80012f45 ra : 8005a321\n$4 : 0000a001 801f3400 00000003 8035e000",
        "| boat | oars |\n| --- | --- |\n| Ana | 2 |\n| Bo | 4 |",
        "boat      oars   price\nAna       2      45.20\nBo        4      12.00",
        "name\toars\tprice\nAna\t2\t45\nBo\t4\t12",
        "1,2,3,4\n5,6,7,8\n9,10,11,12",
        "10 20 30 40\n50 60 70 80\n90 10 20 30",
    ],
)  # fmt: skip
def test_what_is_pasted_shows_by_its_form(text):
    assert pasted.share(text) > 0.6


def test_code_in_a_letter_weighs_by_its_length():
    letter = "I looked at it again tonight, and this is where it goes wrong, I think:\n\n{}\n\nBye."
    assert 0 < pasted.share(letter.format("    x = foo(3);")) < 0.4
    assert pasted.share(letter.format("    x = foo(3);\n" * 20)) > 0.6


def test_hostile_lines_take_no_time():
    started = time.process_time()
    for sign in ("(", "{", "a", "a.", "a(", "=", "< ", "1 ", "|", "\t", "a,", "0x", ":)", "x = ("):
        pasted.share(sign * 100_000)
        pasted.share(f"{sign * 300}\n" * 300)
    assert time.process_time() - started < 5
