# ruff: noqa: E501  (a table has one case a line)
import re
import unicodedata
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aitwin.voice import number_words
from aitwin.voice.normalise import plain, spoken
from tests.voice.test_number_words import value

# What is written | what is said. Punctuation is of no account here; see the tests under the table.
TABLE = {
    "numbers": """
We saw 3 foxes | We saw three foxes
14 spoons and 0 forks | fourteen spoons and zero forks
21 or 99 | twenty-one or ninety-nine
100 days | one hundred days
105 days | one hundred five days
999 things | nine hundred ninety-nine things
4,000,000 birds | four million birds
30000 trees | thirty thousand trees
12,345 words | twelve thousand three hundred forty-five words
2,500,000,000 | two billion five hundred million
3 000 000 birds | three million birds
-8 degrees | minus eight degrees
It sank to −8 | It sank to minus eight
agent 007 | agent zero zero seven
id 1234567890 | I D one two three four five six seven eight nine zero
account 4929123456781234 | account four nine two nine one two three four five six seven eight one two three four
a 1st, a 2 and a 3 | a first a two and a three
+3 points | plus three points
number 80 | number eighty
10 or 11, maybe 13 | ten or eleven maybe thirteen
It's 5 | It's five
Was that 5? 7. | Was that five seven
We're #4 | We're number four
room 404 | room four hundred four
flight LH 438 | flight L H four hundred thirty-eight
""",
    "decimals": """
The root of 2 is 1.41421. | The root of two is one point four one four two one
0.5 litres | zero point five litres
.5 of it | point five of it
-0.25 | minus zero point two five
1,234.5 | one thousand two hundred thirty-four point five
2.0 | two point zero
10.05 | ten point zero five
a 7.2 earthquake. | a seven point two earthquake
1.5 million people | one point five million people
3.2bn people | three point two billion people
""",
    "money": """
You owe me $7.25, or was it $1,400? | You owe me seven dollars and twenty-five cents or was it one thousand four hundred dollars
That is £4 and ¥700. | That is four pounds and seven hundred yen
Mia got €35 back. | Mia got thirty-five euros back
$1 | one dollar
$1.01 | one dollar and one cent
$0.99 | ninety-nine cents
$5.00 | five dollars
£2.20 | two pounds and twenty pence
€1.50 | one euro and fifty cents
5 € | five euros
20 EUR | twenty euros
USD 30 | thirty dollars
US$5 | five U S dollars
-$40 | minus forty dollars
$3.5 million | three point five million dollars
$3.5M | three point five million dollars
€2bn | two billion euros
a $5k bonus | a five thousand dollar bonus
$5-10 | five to ten dollars
$5–$10 | five to ten dollars
$20/month | twenty dollars per month
50¢ | fifty cents
1,200.00 CHF | one thousand two hundred Swiss francs
₹500 | five hundred rupees
$1,234.56 | one thousand two hundred thirty-four dollars and fifty-six cents
a 10 dollar bill | a ten dollar bill
20€/h or 100 EUR/day | twenty euros per hour or one hundred euros per day
€ 5,50 | five euros and fifty cents
""",
    "percentages": """
The U.K. harvest shrank by 3.5%. | The U K harvest shrank by three point five percent
30 % less | thirty percent less
5-10% | five to ten percent
100% sure | one hundred percent sure
up 0.3 % | up zero point three percent
5‰ | five per mille
-1% | minus one percent
10%–15% | ten to fifteen percent
""",
    "times": """
The shop opens at 8:45 am and the bar at 16:10. | The shop opens at eight forty-five ay M and the bar at four ten P M
Her ferry leaves at 2:20 p.m. on Sunday. | Her ferry leaves at two twenty P M on Sunday
at 9:00 | at nine o'clock
at 9:00 a.m. | at nine ay M
3pm | three P M
from 3 to 5 PM | from three to five P M
3–5 p.m. | three to five P M
9:30-10:45 | nine thirty to ten forty-five
00:30 | twelve thirty ay M
00:00 | midnight
17:00 | five P M
09:05 | nine oh five
12:00 | twelve o'clock
12:30:15 | twelve thirty and fifteen seconds
at 4:25pm EST | at four twenty-five P M E S T
10h30 | ten thirty
14h | fourteen hours
the 8:15 train | the eight fifteen train
""",
    "dates": """
2024-03-15 | March fifteenth twenty twenty-four
on Jan. 5 | on January fifth
Jan 5, 2024 | January fifth twenty twenty-four
May 5th, 2024 | May fifth twenty twenty-four
5 May 2024 | the fifth of May twenty twenty-four
the 5th of May | the fifth of May
on the 3 June | on the third of June
3/15/2024 | March fifteenth twenty twenty-four
15/03/2024 | March fifteenth twenty twenty-four
15.03.2024 | March fifteenth twenty twenty-four
on 3/15 | on March fifteenth
on 29.2.2024 | on February twenty-ninth twenty twenty-four
Dec 24-26 | December twenty-fourth to twenty-sixth
Mon, 5 Jan | Monday the fifth of January
Sept. 12, 1999 | September twelfth nineteen ninety-nine
March 2024 | March twenty twenty-four
2024-03-15T16:08 | March fifteenth twenty twenty-four four oh eight P M
Tue. 2:40 pm | Tuesday two forty P M
Mon-Fri | Monday to Friday
on 24.12. | on December twenty-fourth
May 5 | May fifth
may 5 people | may five people
""",
    "years": """
In 1987 she moved, in 2003 and 2018 she came back. | In nineteen eighty-seven she moved in two thousand three and twenty eighteen she came back
the 1990s | the nineteen nineties
the 90s | the nineties
the '80s | the eighties
the 2000s | the two thousands
1900 | nineteen hundred
1905 | nineteen oh five
2000 | two thousand
in 1066 | in ten sixty-six
500 BC | five hundred B C
1914-1918 | nineteen fourteen to nineteen eighteen
2019–20 | twenty nineteen to twenty
class of '99 | class of ninety-nine
1500 people | fifteen hundred people
3000 people | three thousand people
""",
    "phones": """
Ring 555-0142 today. | Ring five five five zero one four two today
+1 (555) 010-9999 | plus one five five five zero one zero nine nine nine nine
(555) 010-9999 | five five five zero one zero nine nine nine nine
555-010-9999 | five five five zero one zero nine nine nine nine
+49 30 1234567 | plus four nine three zero one two three four five six seven
+44 20 7946 0958 | plus four four two zero seven nine four six zero nine five eight
020 7946 0958 | zero two zero seven nine four six zero nine five eight
1-800-555-0142 | one eight zero zero five five five zero one four two
+15550109999 | plus one five five five zero one zero nine nine nine nine
ext. 12 | extension twelve
call 911 | call nine one one
""",
    "units": """
5 km | five kilometers
1 km | one kilometer
10kg | ten kilograms
3.5 GB | three point five gigabytes
100 Mbps | one hundred megabits per second
60 mph | sixty miles per hour
20 °C | twenty degrees Celsius
-5°F | minus five degrees Fahrenheit
90° | ninety degrees
120 km/h | one hundred twenty kilometers per hour
9.8 m/s | nine point eight meters per second
10 m² | ten square meters
5 lbs | five pounds
6 ft | six feet
1 ft | one foot
6'2" | six foot two
5 min. | five minutes
20 mins | twenty minutes
3 hrs | three hours
2h | two hours
1h30 | one thirty
10 ms | ten milliseconds
2.4 GHz | two point four gigahertz
16 GB RAM | sixteen gigabytes RAM
500 mg | five hundred milligrams
50 ml | fifty milliliters
2x | two times
3 x 4 | three by four
1920x1080 | nineteen twenty by ten eighty
5 kWh | five kilowatt hours
72 dpi | seventy-two dots per inch
10 sq ft | ten square feet
a 5 km run | a five kilometer run
12 oz | twelve ounces
1,5 kg | one point five kilograms
3x/week | three times per week
5 in. wide | five inches wide
at 5 in the morning | at five in the morning
3 cm x 4 cm | three centimeters by four centimeters
4K | four K
5G | five G
10k people | ten thousand people
""",
    "ordinals": """
Ida came 1st, her son 32nd. | Ida came first her son thirty-second
the 3rd | the third
the 100th | the one hundredth
11th, 12th and 13th | eleventh twelfth and thirteenth
the 21st century | the twenty-first century
2ND | second
the 1,000th | the one thousandth
the 40th | the fortieth
""",
    "fractions": """
1/2 | one half
3/4 | three quarters
2/3 | two thirds
5 1/2 | five and a half
½ | one half
1½ cups | one and a half cups
5⅓ | five and one third
7/8 | seven eighths
24/7 | twenty-four seven
1/100 | one one hundredth
9/11 | nine eleven
""",
    "ranges": """
5-10 | five to ten
5–10 people | five to ten people
pp. 12-15 | pages twelve to fifteen
a 9-5 job | a nine to five job
Rooms 3 - 5 | Rooms three to five
ratio 3:1 | ratio three to one
1–2 weeks | one to two weeks
5 - 3 = 2 | five minus three equals two
2 + 2 = 4 | two plus two equals four
5 * 3 | five times three
3 × 4 | three times four
10 ÷ 2 | ten divided by two
5 ± 1 | five plus or minus one
~5 people | about five people
x^2 + y^n | x squared plus y to the power of n
x > 5 | x greater than five
x < 3 | x less than three
2-3x | two to three times
""",
    "addresses": """
https://example.com/a.b?c=d | example dot com slash ay dot B and so on
www.example.org | example dot org
see example.com. | see example dot com
http://localhost:8000 | localhost colon eight zero zero zero
bob.k@example.co.uk | bob dot K at example dot co dot U K
Mail for lou@example.org. | Mail for lou at example dot org
ana_maria-cruz99@mail.example.net | ana underscore maria dash cruz nine nine at mail dot example dot net
@ana said | at ana said
#throwback | hashtag throwback
192.168.0.1 | one nine two dot one six eight dot zero dot one
github.com/ana/tools | github dot com slash ana slash tools
notes.txt | notes dot T X T
node.js works | node dot J S works
example.io | example dot I O
C:\\Users | C Users
https://example.com/8f3a9c2e7b1d4f60a5c8 | example dot com slash and so on
""",
    "emoji": """
Great 👍🏽 news | Great news
Well 😀 done. | Well done
I ❤️ you | I love you
👨‍👩‍👧 family | family
:-) fine | fine
ok ;) | okay
1️⃣ first | one first
🇩🇪 Germany | Germany
""",
    "abbreviations": """
Dr. Lind and Mrs. Okoye met in St. Moritz. | Doctor Lind and Missus Okoye met in Saint Moritz
Main St. is near St. Peter. | Main Street is near Saint Peter
Capt. Moss, Birch Co. Ltd. | Captain Moss Birch Company Limited
Mr. and Ms. Diaz | Mister and Ms Diaz
e.g. bread, i.e. carbs, etc. | for example bread that is carbs et cetera
vs. the rest | versus the rest
See no. 5 and Fig. 3 on p. 12 of Vol. 2. No. | See number five and Figure three on page twelve of Volume two No
Prof. Ana Cruz, Lt. Col. Diaz and Gen. Wu | Professor Ana Cruz Lieutenant Colonel Diaz and General Wu
John Smith Jr. | John Smith Junior
approx. 5 | approximately five
Acme Inc. | Acme Incorporated
5th Ave. | fifth Avenue
w/ cheese, w/o meat | with cheese without meat
max. 5 | maximum five
and/or | and or
R&D | R and D
salt & pepper | salt and pepper
a.k.a. Bob | ay K ay Bob
P.S. I love it | P S I love it
She has a Ph.D. | She has a P H D
cf. chapter 3 | compare chapter three
btw, thx | by the way thanks
Dept. of Ed | Department of Ed
24 hr. service | twenty-four hour service
""",
    "capitals": """
their NVIDIA GPUs | their Nvidia G P U's
the USA and the UK | the U S ay and the U K
NASA and NATO | Nasa and Nato
the FBI and the CIA | the F B I and the C I ay
STOP IT NOW | stop it now
this is NOT ok | this is not okay
PDFs and URLs | P D F's and U R L's
HTML and JSON | H T M L and Jason
the CEO's desk | the C E O's desk
ASAP | ay S ay P
J.R.R. Tolkien | J R R Tolkien
George W. Bush | George W Bush
A B C | ay B C
plan A or plan B | plan ay or plan B
A dog | a dog
I am, so am I | I am so am I
FastMRI with SoundCloud | Fast M R I with Sound Cloud
iPad owners love YouTube. | i Pad owners love You Tube
McDonald and O'Neil | McDonald and O'Neil
PhD | P H D
AI is here | ay I is here
the U.S. Army | the U S Army
the IT team told it | the I T team told it
Tell US customers | Tell U S customers
TV | T V
B2B | B two B
MP3 | M P three
H2O | H two O
COVID-19 | Covid nineteen
F-16 | F sixteen
Q3 | Q three
A4 paper | ay four paper
fyi, the api and its urls, asap | F Y I the ay P I and its U R L's ay S ay P
AWS | ay W S
""",
    "versions": """
v2.0.1 | version two point zero point one
version 3.11 | version three point eleven
Python 3.11 | Python three point eleven
2.0.1 | two point zero point one
iOS 17.2 | i O S seventeen point two
C++ and C# | C plus plus and C sharp
""",
    "romans": """
Henry VIII | Henry the eighth
Elizabeth II | Elizabeth the second
World War II | World War two
Chapter IV | Chapter four
Louis XIV of France | Louis the fourteenth of France
Part III | Part three
Super Bowl LVIII | Super Bowl fifty-eight
Rocky IV | Rocky four
Pope John Paul II | Pope John Paul the second
Act V, scene ii | Act five scene two
Vitamin C and D | Vitamin C and D
Charles I | Charles the first
""",
    "markdown": """
# Heading | Heading
- a point | a point
* another | another
> quoted | quoted
**very** `good` _you_ | very good you
~~gone~~ | gone
[the notes](https://example.com/x) | the notes
![a cat](cat.png) | a cat
1. Buy milk. | one Buy milk
a_b and snake_case | a B and snake case
| a | b | | a b
---|
<b>bold</b> | bold
- [x] done | done
""",
    "letters": """
Crème brûlée, señor. | Creme brulee senor
Zoë’s Straße in Łódź | Zoe's Strasse in Lodz
Ærø, Þór | Aero Thor
“Quoted” and ‘so’ | Quoted and so
𝐁𝐨𝐥𝐝 ﬁne ＯＫ | Bold fine okay
٣ and ३ | three and three
你好 hi | hi
™ and © 2024 | and copyright twenty twenty-four
§ 5 | section five
a → b | a to B
5 µm | five micrometers
don't can't it's John's | don't can't it's John's
rock 'n' roll | rock n roll
well-known twenty-two | well-known twenty-two
27" and a 1" nail | twenty-seven inches and a one inch nail
""",
    # Written before they were tried. At first sight right were 30 of the first 40, 44 of the next 50
    # and 30 of the last 40; what was wrong told which rules were missing.
    "mails": """
Hi Ana, can we move the call from 2:30pm to 4 p.m. on Thu, Feb 8? | Hi Ana can we move the call from two thirty P M to four P M on Thursday February eighth
The invoice (no. 2024-117) is for €1,249.90 incl. 19% VAT. | The invoice number twenty twenty-four one one seven is for one thousand two hundred forty-nine euros and ninety cents including nineteen percent vat
My flight LH1234 leaves FRA at 06:45 and lands at 18:20. | My flight L H twelve thirty-four leaves F R ay at six forty-five and lands at six twenty P M
Please send it to j.doe+work@mail.example.org by 5/31. | Please send it to J dot doe plus work at mail dot example dot org by May thirty-first
We ran 10.5 km in 52 min and 30 s. | We ran ten point five kilometers in fifty-two minutes and thirty seconds
The flat has 3.5 rooms, 85 m², and costs $2,100/month. | The flat has three point five rooms eighty-five square meters and costs two thousand one hundred dollars per month
See you @ 7! | See you at seven
It's 30°C in here & I'm melting. | It's thirty degrees Celsius in here and I'm melting
Revenue rose from $1.2M to $1.35M (+12.5%). | Revenue rose from one point two million dollars to one point three five million dollars plus twelve point five percent
He was born on 07.08.1985 in St. Gallen. | He was born on August seventh nineteen eighty-five in Saint Gallen
King George VI reigned 1936-1952. | King George the sixth reigned nineteen thirty-six to nineteen fifty-two
Our CTO said the API returns HTTP 404. | Our C T O said the ay P I returns H T T P four hundred four
Add 1/2 cup of sugar and 2 1/2 tsp. of salt. | Add one half cup of sugar and two and a half teaspoons of salt
Windows 11 needs 4 GB of RAM and 64 GB of storage. | Windows eleven needs four gigabytes of ram and sixty-four gigabytes of storage
I owe you $7.05, don't I? | I owe you seven dollars and five cents don't I
FYI: the P.O. box is #1207. | F Y I the P O box is number twelve oh seven
Meet at 221B Baker St., 2nd floor. | Meet at two twenty-one B Baker Street second floor
Does v1.4 fix bug #88? | Does version one point four fix bug number eighty-eight
The score was 3-1 at half-time. | The score was three to one at half-time
Turn to p. 47, fig. 2b. | Turn to page forty-seven figure two B
We need 2-3 more days (Mon. or Tue.). | We need two to three more days Monday or Tuesday
My number is 0151 23456789. | My number is zero one five one two three four five six seven eight nine
Room 12A, 3rd floor, bldg. 7 | Room twelve ay third floor building seven
It's about 1,500 ft. above sea level. | It's about one thousand five hundred feet above sea level
From 1/1/2023 to 12/31/2023 | From January first twenty twenty-three to December thirty-first twenty twenty-three
He said: "I'll be there at 10." | He said I'll be there at ten
I've attached report_final_v2.pdf. | I've attached report final version two dot P D F
Q1 2025 was our best quarter (up 8.3% YoY). | Q one twenty twenty-five was our best quarter up eight point three percent year over year
The meeting's at 9, not 9:30!! | The meeting's at nine not nine thirty
Buy 6x 0.5l water, 2kg rice & 1 dozen eggs | Buy six times zero point five liters water two kilograms rice and one dozen eggs
Pay by Fri 15 Mar, please. | Pay by Friday the fifteenth of March please
His BMI is 23.4; his BP is 120/80. | His B M I is twenty-three point four his B P is one hundred twenty over eighty
Take the A7 or the M25. | Take the ay seven or the M twenty-five
I was born in the '70s. | I was born in the seventies
She got a 4.0 GPA at UCLA. | She got a four point zero G P ay at U C L ay
The 2nd of Dec. is a Sat. | The second of December is a Saturday
10,000+ users in 20+ countries | ten thousand plus users in twenty plus countries
Ask Dr. J. Lee, M.D., re: the x-ray. | Ask Doctor J Lee M D regarding the x-ray
Is it $50 or 50 USD? | Is it fifty dollars or fifty dollars
Go to Settings > Privacy > Location | Go to Settings Privacy Location
Thanks for your e-mail of 12 March. | Thanks for your e-mail of the twelfth of March
The rent is 1.250,00 € per month, due on the 1st. | The rent is one thousand two hundred fifty euros per month due on the first
Could you do Tuesday, 14 May at 11am CET? | Could you do Tuesday the fourteenth of May at eleven ay M C E T
Our train is ICE 599, coach 23, seats 61-62. | Our train is ICE five hundred ninety-nine coach twenty-three seats sixty-one to sixty-two
I'm 5'9" and weigh 165 lbs. | I'm five foot nine and weigh one hundred sixty-five pounds
Set the oven to 350°F for 25-30 mins. | Set the oven to three hundred fifty degrees Fahrenheit for twenty-five to thirty minutes
Congrats on your 40th! 🎉🎉 | Congrats on your fortieth
Let's meet halfway (approx. 15 miles). | Let's meet halfway approximately fifteen miles
The file is 2.3MB; the limit's 25MB. | The file is two point three megabytes the limit's twenty-five megabytes
Order #A-1093 shipped on 2025-01-07. | Order number ay ten ninety-three shipped on January seventh twenty twenty-five
Our GDP grew 0.4% in Q2. | Our G D P grew zero point four percent in Q two
Re: invoice 88231, I paid it on 3 Jan. | Regarding invoice eighty-eight thousand two hundred thirty-one I paid it on the third of January
We've got 7 days, 23 hrs and 59 mins left. | We've got seven days twenty-three hours and fifty-nine minutes left
The temp. dropped below 0°. | The temperature dropped below zero degrees
She lives at 1600 Pennsylvania Ave. NW. | She lives at sixteen hundred Pennsylvania Avenue N W
Is the Wi-Fi password 12345678? | Is the Wi-Fi password one two three four five six seven eight
I'd say 50/50. | I'd say fifty fifty
The M&A team met at the HQ. | The M and ay team met at the H Q
1st: eggs; 2nd: milk; 3rd: bread. | first eggs second milk third bread
My new address: 42 Elm St., Apt. 3B, Boston, MA 02110 | My new address forty-two Elm Street Apartment three B Boston M ay zero two one one zero
The 10 a.m. slot is gone. | The ten ay M slot is gone
Try Ctrl+C, then Alt+F4. | Try Control plus C then Alt plus F four
See https://www.example.org/docs for more. | See example dot org slash docs for more
Your PIN is 0042. | Your pin is zero zero four two
It weighs 1 1/2 kg. | It weighs one and a half kilograms
Sales: $980K vs. $1.1M last year | Sales nine hundred eighty thousand dollars versus one point one million dollars last year
The WHO and UNICEF agree. | The W H O and Unicef agree
A 20-year-old student and a 3-month trial | A twenty year-old student and a three month trial
I'll be OOO until Aug. 3rd. | I'll be O O O until August third
Mt. Everest is 8,849 m high. | Mount Everest is eight thousand eight hundred forty-nine meters high
On the 1980s and '90s | On the nineteen eighties and nineties
Flight time: 1h 45min | Flight time one hour forty-five minutes
Pope Francis I? No, just Francis. | Pope Francis the first No just Francis
Add me on Insta: @lena.k | Add me on Insta at lena dot k
Speed limit: 30 mph (48 km/h) | Speed limit thirty miles per hour forty-eight kilometers per hour
It's 1:05 now. | It's one oh five now
Use 100% cotton, 40x40 cm. | Use one hundred percent cotton forty by forty centimeters
Win, lose, or draw: 2:2. | Win lose or draw two to two
I ordered 3 of the 12-packs @ $8.99 each. | I ordered three of the twelve packs at eight dollars and ninety-nine cents each
My IBAN starts with DE89 3704. | My I ban starts with D E eighty-nine three thousand seven hundred four
The CEO, CFO & COO left. | The C E O C F O and C O O left
Please RSVP ASAP. | Please R S V P ay S ay P
Temperatures of -10 to -15 °C | Temperatures of minus ten to minus fifteen degrees Celsius
Profits fell by £3m to £12.5m. | Profits fell by three million pounds to twelve point five million pounds
I can't find 'Notes.docx' anywhere. | I can't find Notes dot D O C X anywhere
Born c. 1850, died 1912. | Born circa eighteen fifty died nineteen twelve
We need 3 more: A, B and C. | We need three more ay B and C
9 to 5, Mon. to Fri. | nine to five Monday to Friday
Python 3.12.1 and Node 20 | Python three point twelve point one and Node twenty
The "No. 1" rule | The number one rule
Hey! u free @ 6ish? | Hey U free at six ish
lol ok, brb in 5 min | lol okay B R B in five minutes
Whisk 3 eggs with 120 ml milk and a pinch (1/8 tsp) of salt. | Whisk three eggs with one hundred twenty milliliters milk and a pinch one eighth teaspoon of salt
Bake at 180 °C/350 °F for 1 h. | Bake at one hundred eighty degrees Celsius slash three hundred fifty degrees Fahrenheit for one hour
Light travels at 299,792 km/s. | Light travels at two hundred ninety-nine thousand seven hundred ninety-two kilometers per second
Water (H2O) freezes at 0°C. | Water H two O freezes at zero degrees Celsius
CO2 levels hit 421 ppm in 2023. | C O two levels hit four hundred twenty-one parts per million in twenty twenty-three
The DJIA closed at 38,654.42, down 0.71%. | The D J I ay closed at thirty-eight thousand six hundred fifty-four point four two down zero point seven one percent
On Nov. 9, 1989, the Berlin Wall fell. | On November ninth nineteen eighty-nine the Berlin Wall fell
WWII ended in 1945. | World War two ended in nineteen forty-five
Gate B12, boarding 7:40-8:10 | Gate B twelve boarding seven forty to eight ten
Flight BA 117 departs LHR T5. | Flight B ay one hundred seventeen departs L H R T five
It's 3km away, ~40min on foot. | It's three kilometers away about forty minutes on foot
Check-in: 15:00; check-out: 11:00 | Check-in three P M check-out eleven o'clock
That'll be $1,050.50, please. | That'll be one thousand fifty dollars and fifty cents please
The 5-star hotel has 200+ rooms. | The five star hotel has two hundred plus rooms
He ran the 100m in 9.58s. | He ran the one hundred meters in nine point five eight seconds
Barça won 4-0 (6-1 agg.). | Barca won four to zero six to one agg
My laptop: i7, 32GB RAM, 1TB SSD | My laptop I seven thirty-two gigabytes ram one terabyte S S D
USB-C to HDMI | U S B C to H D M I
Run `pip install x` and open http://127.0.0.1:8080/. | Run pip install x and open one two seven dot zero dot zero dot one colon eight zero eight zero
Fix: if x >= 10, y = 2x + 1 | Fix if x at least ten y equals two x plus one
The app's v10 is out 9/1. | The app's version ten is out nine slash one
I live in Apt #4C. | I live in apartment number four C
Sr. engineer wanted, 5+ yrs exp. | Senior engineer wanted five plus years exp
Quarterly review: FY24 vs FY23 | Quarterly review F Y twenty-four versus F Y twenty-three
Invoice total: EUR 3.400,00 | Invoice total three thousand four hundred euros
Meet Lt. Gov. Ann O'Leary at 8 A.M. sharp. | Meet Lieutenant Governor Ann O'Leary at eight ay M sharp
"It's 12 o'clock!" she said. | It's twelve o'clock she said
Vol. XII, No. 3, pp. 101–119 | Volume twelve number three pages one hundred one to one hundred nineteen
Dad turned 60 on the 2nd Sunday of May. | Dad turned sixty on the second Sunday of May
Do you want the 64- or the 128-GB model? | Do you want the sixty-four or the one hundred twenty-eight gigabyte model
My bday is 10/31/90 | My bday is October thirty-first ninety
Use code SAVE20 for 20% off until 11:59 PM PST! | Use code save twenty for twenty percent off until eleven fifty-nine P M P S T
There are 1,760 yards in a mile (5,280 ft). | There are one thousand seven hundred sixty yards in a mile five thousand two hundred eighty feet
The Nos. 1 and 2 seeds lost. | The numbers one and two seeds lost
Jan–Mar: 4.5k signups | January to March four point five thousand signups
E.g., see Fig. 4a. | For example see Figure four ay
Yours, J. | Yours J
Best, Prof. Dr. K. Meier | Best Professor Doctor K Meier
""",
    "amounts": """
CHF 1'250 | one thousand two hundred fifty Swiss francs
CHF 1’250.50 | one thousand two hundred fifty Swiss francs and fifty centimes
1'250'000 francs | one million two hundred fifty thousand francs
10 000 € | ten thousand euros
€10 000 or $ 12 500 | ten thousand euros or twelve thousand five hundred dollars
€1.234 | one thousand two hundred thirty-four euros
1.000 € | one thousand euros
12.500 euros | twelve thousand five hundred euros
1.459 €/l | one point four five nine euros per liter
€1.234 million | one point two three four million euros
5.000.000 EUR | five million euros
1.250.000 people | one million two hundred fifty thousand people
1 000 000,50 € | one million euros and fifty cents
1 250,50 EUR | one thousand two hundred fifty euros and fifty cents
20,- EUR | twenty euros
CHF 49.– each | forty-nine Swiss francs each
CHF 49.- each | forty-nine Swiss francs each
Fr. 12.50 | twelve Swiss francs and fifty centimes
SFr. 8 and 5 Fr. each | eight Swiss francs and five Swiss francs each
Fr. Brown is late | Father Brown is late
10.000.000.000 € | ten billion euros
at 10.0.0.255 | at one zero dot zero dot zero dot two five five
""",
    "decimal commas": """
12,5% | twelve point five percent
up 5,5 % | up five point five percent
Pi is 3,14 or 3,14159 | Pi is three point one four or three point one four one five nine
1,5 Millionen | one point five Millionen
2,5 Stunden | two point five Stunden
1,50 | one point five zero
-0,5 | minus zero point five
1,2,3 go | one two three go
pages 3,4 and 5 | pages three four and five
rooms 12,13 | rooms twelve thirteen
on Jan 5,24 guests came | on January fifth twenty-four guests came
on Jan 5,2024 | on January fifth twenty twenty-four
14.30 Uhr | two thirty P M
um 9:15 Uhr | um nine fifteen
""",
    "brackets": """
Dear <Name>, thanks for <your order>. | Dear Name thanks for your order
if a <b and c> d then stop | if a less than b and c greater than d then stop
Type <Enter> to go | Type Enter to go
List<String> is fast | List String is fast
a Map<String, Int> here | a Map String Int here
I need <3 days for it. | I need less than three days for it
under <3% now | under less than three percent now
torch>=2.1,<3 | torch at least two point one less than three
I <3 you | I love you
Thanks a lot <3 | Thanks a lot
miss you <3 see you soon | miss you see you soon
score :3 ok | score three okay
aww :3 | aww
Figure 8-D and 7-X | Figure eight D and seven X
a <a href="https://example.com">link</a>, a<br/>b and <i>c</i> | a link a b and c
<div class="note big">so</div> | so
Ana Lopez <ana@example.com> wrote: | Ana Lopez ana at example dot com wrote
see <https://example.org/news> | see example dot org slash news
""",
    "sums": """
9am UTC-5 | nine ay M U T C minus five
GMT-5 or GMT+2 | G M T minus five or G M T plus two
at 17:00 UTC+05:30 | at five P M U T C plus five thirty
10 / 2 = 5 | ten divided by two equals five
x -= 1 | x minus equals one
√2 | square root of two
√x | square root of x
10 kΩ and 5 Ω | ten kilohms and five ohms
5 μg of B12 | five micrograms of B twelve
2πr | two pi R
β-testing in λ | beta-testing in lambda
∞ | infinity
1.5e-3 | one point five times ten to the minus three
6.02e23 | six point zero two times ten to the twenty-three
1e-5 | one times ten to the minus five
0x1F | zero X one F
0xa0 | zero X ay zero
2 x 3 = 6 | two times three equals six
x = 2x | x equals two x
3x² | three x squared
3x faster | three times faster
3 x daily | three times daily
""",
    "seconds": """
It takes 20s. | It takes twenty seconds
wait 20s please | wait twenty seconds please
done in 30s | done in thirty seconds
10s of thousands | tens of thousands
100s of people and 1000s of cars | hundreds of people and thousands of cars
She's in her 30s | She's in her thirties
in the early 80s and late 90s | in the early eighties and late nineties
the 60s and 70s | the sixties and seventies
mid-90s | mid-nineties
80s music | eighties music
1h 30m | one hour thirty minutes
30m and 10s | thirty minutes and ten seconds
5m 20s | five minutes twenty seconds
2d 4h | two days four hours
posted 30m ago | posted thirty minutes ago
a 30m rope | a thirty meter rope
""",
    "codes": """
V8 engine | V eight engine
Call 911 now | Call nine one one now
They called 112 and the police. | They called one one two and the police
Call 300 people | Call three hundred people
dial 911 | dial nine one one
call 5551234 now | call five five five one two three four now
code 482913 | code four eight two nine one three
your code is 482913. | your code is four eight two nine one three
fax 5551234 | fax five five five one two three four
PIN: 4821 | pin four eight two one
1-800-FLOWERS | one eight hundred flowers
CVE-2024-3094 | C V E twenty twenty-four thirty ninety-four
a Boeing 737-800 | a Boeing seven thirty-seven eight hundred
v2.0.0-rc1 | version two point zero point zero R C one
2.0.0-beta.3 | two point zero point zero beta three
i7-12700K | I seven one two seven zero zero K
PROJ-4567-8 | Proj forty-five sixty-seven eight
10-15kg | ten to fifteen kilograms
""",
    "more shorthand": """
AT&T called. | ay T and T called
the A&E ward | the ay and E ward
/etc/passwd | slash etc slash passwd
and so on, etc. | and so on et cetera
Hr. Meier | Herr Meier
Max. came home. | Max came home
Max. speed 50 | Maximum speed fifty
Ed. there | Ed there
this && that | this and that
this &amp; that | this and that
5 &lt; 6 | five less than six
5/6 June | the fifth to the sixth of June
1/2 May | the first to the second of May
on June 5/6 | on June fifth to sixth
3/4 of May | three quarters of May
""",
    # 60 more, written when all that is above was right: 42 were at first sight; then 24 of another 30.
    # Here without five that are a matter of taste, or that nobody can know ("Python <3.9, not 3.12").
    "messages": """
Hey Leo, I'll be 10 min late, traffic on the A3. | Hey Leo I'll be ten minutes late traffic on the ay three
Can you transfer 1.480,50 € to Mara by the 28th? | Can you transfer one thousand four hundred eighty euros and fifty cents to Mara by the twenty-eighth
Deposit: CHF 2'400.–, payable in 2 instalments. | Deposit two thousand four hundred Swiss francs payable in two instalments
Our standup moves to 9:15 (UTC+1) from 1 Dec. | Our standup moves to nine fifteen U T C plus one from the first of December
The parcel weighs 3,2 kg and is 45 x 30 x 20 cm. | The parcel weighs three point two kilograms and is forty-five by thirty by twenty centimeters
Pls call the vet at 555-0147 before 6pm. | Please call the vet at five five five zero one four seven before six P M
Meeting ID: 812 4455 9021, passcode 774120. | Meeting I D eight one two four four five five nine zero two one passcode seven seven four one two zero
Sofia <sofia.k@example.net> asked for the Q4 slides. | Sofia sofia dot K at example dot net asked for the Q four slides
My grandmother, born in 1938, moved here in the 60s. | My grandmother born in nineteen thirty-eight moved here in the sixties
Retry after 30s, then every 5m up to 1h. | Retry after thirty seconds then every five minutes up to one hour
We sold 100s of tickets at $12.50 apiece. | We sold hundreds of tickets at twelve dollars and fifty cents apiece
Lunch is on me :) See you at 12:45? | Lunch is on me See you at twelve forty-five
The new GPU has 24GB VRAM & draws 350W. | The new G P U has twenty-four gigabytes V ram and draws three hundred fifty watts
Flight AZ 611 on Sat 14 June, seat 23F. | Flight ay Z six hundred eleven on Saturday the fourteenth of June seat twenty-three F
Rent went from 850 to 920 EUR/month, +8,2%. | Rent went from eight hundred fifty to nine hundred twenty euros per month plus eight point two percent
Set x = 3y - 7 and solve. | Set x equals three y minus seven and solve
Dinner for 4 @ Luigi's, 8ish? | Dinner for four at Luigi's eight ish
The trail is 12.4 mi with 2,300 ft of climbing. | The trail is twelve point four miles with two thousand three hundred feet of climbing
Please reply to <your manager> and cc HR. | Please reply to your manager and C C H R
Mr. & Mrs. Okafor arrive Thurs. at noon. | Mister and Missus Okafor arrive Thursday at noon
I've read pp. 30-45 & ch. 7. | I've read pages thirty to forty-five and chapter seven
Bitcoin fell 4.75% to $61,204.33 overnight. | Bitcoin fell four point seven five percent to sixty-one thousand two hundred four dollars and thirty-three cents overnight
TL;DR: we ship v3.2.0 on Mon, 3 Mar. | T L D R we ship version three point two point zero on Monday the third of March
It's a 2-hour drive, ca. 180 km. | It's a two hour drive circa one hundred eighty kilometers
The doctor said 2 tablets 3x/day for 10 days. | The doctor said two tablets three times per day for ten days
Ticket OPS-2214 is blocked by OPS-2190. | Ticket O P S twenty-two fourteen is blocked by O P S twenty-one ninety
Is 7:30-8:00 a.m. ok for you? | Is seven thirty to eight ay M okay for you
She paid £1,050.00 for a used MacBook Pro M1. | She paid one thousand fifty pounds for a used Mac Book Pro M one
Die Sitzung beginnt um 9.30 Uhr. | Die Sitzung beginnt um nine thirty
Boil 500ml water, add 1/2 tsp salt & 250 g pasta. | Boil five hundred milliliters water add one half teaspoon salt and two hundred fifty grams pasta
Open Tools > Options > Advanced and tick "TLS 1.3". | Open Tools Options Advanced and tick T L S one point three
The 3rd of May is a Tue., right? | The third of May is a Tuesday right
IMO the 2nd option's better; cf. sec. 4.2. | in my opinion the second option's better compare section four point two
Gas is $3.499/gal here. | Gas is three point four nine nine dollars per gallon here
We had approx. 15-20 guests on New Year's Eve 2023/24. | We had approximately fifteen to twenty guests on New Year's Eve twenty twenty-three slash twenty-four
Henry V by Shakespeare, act III, is my favorite. | Henry the fifth by Shakespeare act three is my favorite
In total: 3 adults, 2 kids (ages 4 and 7), 1 dog. | In total three adults two kids ages four and seven one dog
Our Wi-Fi: guest_net / pw: sunny-42-day | Our Wi-Fi guest net password sunny forty-two day
Invoice INV-2025-0042 is due 30 days net. | Invoice I N V twenty twenty-five zero zero four two is due thirty days net
He ran the 10k in 41:32. | He ran the ten thousand in forty-one thirty-two
Temp. range: -5 to +3 °C. | Temperature range minus five to plus three degrees Celsius
Half of 1/3 is 1/6. | Half of one third is one sixth
Train RE 5 leaves from platform 9 3/4 ;) | Train R E five leaves from platform nine and three quarters
BTW the U.S. dept. of labor called back. | by the way the U S department of labor called back
OMG, 1000 likes in 24h!!! | O M G one thousand likes in twenty-four hours
PLEASE DON'T FORGET THE KEYS | please don't forget the keys
Your OTP is 90417. It expires in 10 minutes. | Your O T P is nine zero four one seven It expires in ten minutes
Between 1914 and '18 the factory made 2,000 t of steel. | Between nineteen fourteen and eighteen the factory made two thousand tons of steel
Take the 2nd exit, then go 300 m to no. 14B. | Take the second exit then go three hundred meters to number fourteen B
The SSD does 7,000 MB/s, my old HDD only 150. | The S S D does seven thousand megabytes per second my old H D D only one hundred fifty
He's 6'1" and wears a size 10.5 shoe. | He's six foot one and wears a size ten point five shoe
Profit was €3.2m vs. €2.9m in H1 2024. | Profit was three point two million euros versus two point nine million euros in H one twenty twenty-four
Dr. Ng's office: Suite 400, 12 W. 5th St. | Doctor Ng's office Suite four hundred twelve West fifth Street
Join at https://meet.example.com/abc-defg-hij at 4. | Join at meet dot example dot com slash abc defg hij at four
Thx for the $$$, I'll pay u back on Fri. | Thanks for the dollars I'll pay U back on Friday
Error 0x80070005 on line 1,204 of main.cpp | Error zero X eight zero zero seven zero zero zero five on line one thousand two hundred four of main dot C P P
So long, Louis, I'll call | So long Louis I'll call
GET THE KEYS, I'M HOME | get the keys I'm home
a - b, 3 - 5 and F = 2a - 3b | a B three to five and F equals two ay minus three B
IBAN DE89 3704 0044 0532 | I ban D E eighty-nine three seven zero four zero zero four four zero five three two
the winter of 2023/24 | the winter of twenty twenty-three slash twenty-four
10 x 20 x 30 = 6000 | ten times twenty times thirty equals six thousand
Nina, can you pick up 2 l of milk and 500 g of flour? | Nina can you pick up two liters of milk and five hundred grams of flour
The hotel is 189 €/night incl. breakfast. | The hotel is one hundred eighty-nine euros per night including breakfast
Kickoff is at 8:45 p.m. CEST on 21 June. | Kickoff is at eight forty-five P M C E S T on the twenty-first of June
My new no. is +41 79 555 01 23. | My new number is plus four one seven nine five five five zero one two three
We need 4-6 weeks and about $15k. | We need four to six weeks and about fifteen thousand dollars
Backup took 1h 12m, 340 GB in total. | Backup took one hour twelve minutes three hundred forty gigabytes in total
Did you see Rocky II or Rocky III first? | Did you see Rocky two or Rocky three first
The 5:30 bus was 15 mins late again :/ | The five thirty bus was fifteen minutes late again
Sales grew 1,3 % in Q3, i.e. by 12.000 €. | Sales grew one point three percent in Q three that is by twelve thousand euros
John 3:16 is his favorite verse. | John three sixteen is his favorite verse
Use the 2.4GHz network, not the 5GHz one. | Use the two point four gigahertz network not the five gigahertz one
Mum's 70th is on Saturday, 9 Aug. at 3. | Mum's seventieth is on Saturday the ninth of August at three
I'm at gate C7, row 31, seats D & E. | I'm at gate C seven row thirty-one seats D and E
The dose is 0.25 mg/kg every 8 hrs. | The dose is zero point two five milligrams per kilogram every eight hours
Our ETA is 16:40, maybe 16:50. | Our E T ay is four forty P M maybe four fifty P M
You owe me 12,50 € for pizza. | You owe me twelve euros and fifty cents for pizza
See attached: budget_2025.xlsx (tab 3). | See attached budget twenty twenty-five dot X L S X tab three
The vote was 52-48 in the Senate. | The vote was fifty-two to forty-eight in the Senate
In the 1800s, few people lived past 60. | In the eighteen hundreds few people lived past sixty
He earns 60k a year, she earns 75k. | He earns sixty thousand a year she earns seventy-five thousand
Version 2.10 fixes #312 and #315. | Version two point ten fixes number three hundred twelve and number three hundred fifteen
Meet me in room B-204 at half past 2. | Meet me in room B two oh four at half past two
Chapter 5, § 12, applies to all EU citizens. | Chapter five section twelve applies to all E U citizens
A 30% tip?! That's $45! | A thirty percent tip That's forty-five dollars
Read RFC 2616 and ISO 8601 first. | Read R F C twenty-six sixteen and I S O eighty-six oh one first
Call Dr. Patel's office (ext. 204) tmrw. | Call Doctor Patel's office extension two hundred four tomorrow
It's -12°C outside, feels like -20. | It's minus twelve degrees Celsius outside feels like minus twenty
The match ended 6-4, 3-6, 7-5. | The match ended six to four three to six seven to five
Born Sept 3rd 2001, so she's 24 y/o. | Born September third two thousand one so she's twenty-four years old
We have 1.2M users and 3.4K likes | We have one point two million users and three point four thousand likes
5M views, 10K steps, over 2B | five million views ten thousand steps over two billion
1-2M users, 1.2M-1.5M people | one to two million users one point two to one point five million people
a 4K screen, 3M tape, a 7B model | a four K screen three M tape a seven B model
v1.2M of Room B2.14 | V one point two M of Room B two point one four
12 000 people | twelve thousand people
10 000 steps over 25 000 km | ten thousand steps over twenty-five thousand kilometers
12 345 friends | twelve thousand three hundred forty-five friends
between 120 000 and 150 000 000 | between one hundred twenty thousand and one hundred fifty million
on May 12 345 people came | on May twelfth three hundred forty-five people came
At 5 300 people came. | At five three hundred people came
wait 5m, back in 10m, after 1m30s | wait five minutes back in ten minutes after one minute thirty seconds
Call 112 or 999. | Call one one two or nine nine nine
slide 3 / 10, 3 / 10 = 0.3 | slide three of ten three divided by ten equals zero point three
2024/05/06 | May sixth twenty twenty-four
10/10, 8/10 and 9.5/10 | ten out of ten eight out of ten and nine point five out of ten
4/5 stars, rated 4.5/5 | four out of five stars rated four point five out of five
page 1/3 | page one of three
1/10 of it, 3/10 mile | one tenth of it three tenths mile
3.14159 | three point one four one five nine
1,00,000 | one hundred thousand
₹12,34,567.50 | one million two hundred thirty-four thousand five hundred sixty-seven rupees and fifty paise
2 - 1 | two minus one
What is 10 - 2.5? | What is ten minus two point five
We won 2 - 1, open 9 - 5. | We won two to one open nine to five
Q1-Q3 and Q1-2 | Q one to Q three and Q one to two
""",
}

CASES = [
    pytest.param(*(side.strip() for side in line.rsplit("|", 1)), id=f"{kind}: {line}")
    for kind, lines in TABLE.items()
    for line in lines.strip("\n").splitlines()
]


def words(text: str) -> list[str]:
    return re.findall(r"[a-z'-]+", text.lower())


def test_the_table_is_a_table() -> None:
    assert len(CASES) >= 200
    assert len({case.values[0] for case in CASES}) == len(CASES)


@pytest.mark.parametrize(("written", "said"), CASES)
def test_what_is_written_is_said(written: str, said: str) -> None:
    """S1: the words, in order, and no other."""
    assert words(spoken(written)) == words(said)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("One; two: three — four - five (six) [seven].", "One, two, three, four, five, six, seven."),
        ("Really?! Yes!!! Well... no…", "Really? Yes! Well... no..."),
        ('He said: "Stop." Then', "He said, Stop. Then"),
        ("At 3 p.m.", "At three P M."),
        ("At 3 p.m. we left.", "At three P M we left."),
        ("in the U.S.", "in the U S."),
        ("Is it at 3 p.m.?", "Is it at three P M?"),
        ("Acme Ltd.", "Acme Limited."),
        ("Ring 555-0142.", "Ring five five five, zero one four two."),
        ("Mar 3, 2024, at noon", "March third, twenty twenty-four, at noon"),
        ("Two things are open:", "Two things are open,"),
        ("One line\nand another.\nA third", "One line. and another. a third"),
        ("...and so", "and so"),
        ("the dogs' 'bowl'", "the dogs bowl"),
        ("Yes , no .", "Yes, no."),
        ("3.14159 or 1.2M users", "three point one four one five nine or one point two million users"),
    ],
)  # fmt: skip
def test_marks_that_give_a_sentence_its_tune_stay(written: str, said: str) -> None:
    assert spoken(written) == said


@pytest.mark.parametrize(
    "silent", ["", " ", "...", "🙂🙂", "你好", "?!", "- \n* ", "---", "()", ":-)"]
)
def test_what_has_no_word_is_nothing(silent: str) -> None:
    assert spoken(silent) == ""


def test_a_date_that_may_be_two_is_never_guessed() -> None:
    assert spoken("on 3/4/2024") == "on three slash four, twenty twenty-four"
    assert spoken("by 3/4") == "by three slash four"
    assert spoken("on 4/4") == "on April fourth"


@pytest.mark.parametrize(
    ("text", "said", "unspoken"),
    [
        ("Zoë’s naïve café — 5 €", "Zoë’s naïve café — 5 €", 0),
        ("e\u0301 = é", "é = é", 0),
        ("Great 👍🏽 news", "Great    news", 2),
        ("a\u200bb\u00adc", "abc", 0),
        ("𝐁𝐨𝐥𝐝 ﬁne ＯＫ", "Bold fine OK", 0),
        ("٣ and ३", "3 and 3", 0),
        ("5⅓", "5 1/3", 0),
        ("你好 hi", "   hi", 2),
        ("bell\x07", "bell ", 1),
    ],
)
def test_what_has_a_sound(text: str, said: str, unspoken: int) -> None:
    assert plain(text) == (said, unspoken)


# --- Of any text ----------------------------------------------------------------------------------

FRAGMENTS = sorted({fragment for case in CASES for fragment in str(case.values[0]).split()})
sensible = st.lists(st.sampled_from(FRAGMENTS), max_size=8).map(" ".join)
texts = st.one_of(
    st.text(),
    st.text("0123456789.,:/-–$€%+x'\" aApPmMhIVXthsn°²#@()\n", max_size=60),
    sensible,
)


@settings(max_examples=250, deadline=None)
@given(texts)
def test_any_text_becomes_words(text: str) -> None:
    """No digit and no symbol is left, and marks stand behind words."""
    said = spoken(text)
    assert re.fullmatch(r"(?:[A-Za-z]+(?:['-]+[A-Za-z]+)*(?:[,!?.]|\.{3})?(?: |$))*", said), said
    assert said == said.strip()


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from([each for each in FRAGMENTS if each[-1] != "."])).map(" ".join))
def test_words_stay_as_they_are(text: str) -> None:
    """Twice is as good as once. (Not after a stray abbreviation: "Mt. pm" is "Mt. P M" at first.)"""
    assert spoken(spoken(text)) == spoken(text)


@settings(max_examples=100, deadline=None)
@given(texts)
def test_a_text_with_a_word_is_never_silent(text: str) -> None:
    if re.search(r"[0-9]|[a-z]{2}", unicodedata.normalize("NFC", _without_markup(text))):
        assert spoken(text)


def _without_markup(text: str) -> str:
    """Without Markdown's links, faces and what may be a tag; words in <brackets> are tested next."""
    return re.sub(r"<[^>]*>|\([^)]*\)|[:;=8xX].?[\[\])(DPpOo3*|/]+|<3", "", text)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from(["order", "name", "enter", "string", "seven", "days"]), min_size=1),
    st.lists(st.sampled_from([" ", " <", "> ", " < ", " > ", "<", ">", " <3 ", " :3 ", " 8-) "])),
)
def test_no_word_between_angles_is_lost(names: list[str], joints: list[str]) -> None:
    text = "".join(name + joint for name, joint in zip(names, [*joints, *[" "] * 99], strict=False))
    said = [word for word in words(spoken(text)) if word in names]
    assert said == names


SPELLINGS = {
    "en": lambda number: f"{number:,}",
    "ch": lambda number: f"{number:,}".replace(",", "'"),
    "typeset": lambda number: f"{number:,}".replace(",", "\u202f"),
}


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**9 - 1) | st.integers(0, 10_000), st.sampled_from(sorted(SPELLINGS)))
def test_any_number_is_counted(number: int, spelling: str) -> None:
    said, _, noun = spoken(f"{SPELLINGS[spelling](number)} apples").rpartition(" ")
    assert noun == "apples"
    assert value(said) == number


@settings(max_examples=100, deadline=None)
@given(st.integers(1100, 2099))
def test_any_year_is_said_in_halves(number: int) -> None:
    said = spoken(f"in {number}").removeprefix("in ").replace("-", " ").split()
    century, rest = divmod(number, 100)
    if number in range(2000, 2010):
        assert value(" ".join(said)) == number
    elif rest == 0:
        assert (value(" ".join(said[:-1])), said[-1]) == (century, "hundred")
    else:
        cut = next(at for at in range(1, len(said)) if value(" ".join(said[:at])) == century)
        assert value(" ".join(said[cut:]).removeprefix("oh ")) == rest


@settings(max_examples=100, deadline=None)
@given(st.dates(min_value=date(1200, 1, 1), max_value=date(2099, 12, 31)))
def test_any_date_is_the_same_day_in_each_spelling(day: date) -> None:
    iso = spoken(day.isoformat())
    assert iso.startswith(f"{day:%B} {number_words.ordinal(day.day)}, ")
    for spelling in (f"{day:%B} {day.day}, {day.year}", f"{day:%b} {day.day}, {day.year}"):
        assert spoken(spelling) == iso
    if day.day > 12:
        assert spoken(f"{day.month}/{day.day}/{day.year}") == iso
        assert spoken(f"{day.day}/{day.month}/{day.year}") == iso
    assert spoken(f"{day.day:02}.{day.month:02}.{day.year}") == iso


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(0, 99),
    st.sampled_from(["$%s", "€%s", "£%s", "%s €", "%s EUR", "€ %s"]),
    st.sampled_from([",.", "'.", " .", " ,", ".,"]),
)
def test_any_price_has_its_parts(whole: int, part: int, form: str, marks: str) -> None:
    """Whoever wrote it: 1,250.50, 1'250.50, 1 250.50, 1 250,50 and 1.250,50."""
    amount = f"{whole:,}".replace(",", marks[0]) + f"{marks[1]}{part:02}"
    said = spoken(f"It is {form % amount} now").removeprefix("It is ").removesuffix(" now")
    coin = {"$": "dollar", "£": "pound"}.get(form[0], "euro")
    cent = "(?:penny|pence)" if form[0] == "£" else "cents?"
    found = re.fullmatch(rf"(?:(.+?) {coin}s?)?(?: and )?(?:(\S+) {cent})?", said)
    assert found, said
    assert (value(found[1] or "zero"), value(found[2] or "zero")) == (whole, part)
    assert found[1] is not None or part


@pytest.mark.parametrize(
    "tortuous",
    [
        "." * 20_000, "1" * 20_000, f"${'1' * 20_000}.50", "1," * 10_000, "A" * 20_000, "a.b." * 5_000, "1/2 " * 5_000,
        "[" * 20_000, "<a" * 10_000, "#" * 20_000, "http://" * 3_000, "1-" * 10_000, " " * 20_000,
        "$1-" * 7_000, "|-" * 10_000, "1:2" * 7_000, "no. " * 5_000, "Jan 5-" * 3_000,
        "@a." * 7_000, "_" * 20_000, "a@" * 10_000, "for 5m " * 3_000, "<a b=c " * 3_000, "= 1 - a" * 3_000, "1 000 " * 4_000, "'" * 20_000,
        "1 " + "000 " * 5_000, "9.5/10 " * 3_000, "2 - 1 " * 3_000, "1,00," * 4_000, "1.2M" * 5_000, "5M-" * 7_000, "Q1-" * 7_000,
    ],
    ids=lambda text: text[:6],
)  # fmt: skip
def test_no_text_takes_more_than_linear_time(tortuous: str) -> None:
    """What is quadratic runs for seconds here, and what backtracks hits the limit of the run."""
    assert re.fullmatch(r"[A-Za-z.,!?' -]*", spoken(tortuous))
