"""The background of labels.py: everyday phrases with which every scene is compared.

They cover many subjects evenly and were written for this purpose; no data set's list of labels was used.
"""

from __future__ import annotations

_TEXT = """
a person; a man; a woman; a child; a baby; a crowd of people; two people who talk; an old man; a face; a hand;
a family; a dog; a cat; a bird; a horse; a cow; a fish; an insect; a snake; a bear; a monkey; an elephant; a sheep;
a rabbit; a tree; a flower; grass; a leaf; a forest; a mountain; a river; a lake; the sea; a beach; a desert; snow;
rain; clouds; the night sky; the sun; fire; smoke; ice; a waterfall; a field; a garden; a rock; a cave; an island;
a volcano; a car; a truck; a bus; a train; a bicycle; a motorcycle; an airplane; a helicopter; a boat; a ship;
a rocket; a tractor; a road; a bridge; a street; a city; a village; a house; a tower; a castle; a church; a factory;
a school; a hospital; a kitchen; a bedroom; a bathroom; a living room; an office; a shop; a restaurant; a bar;
a theatre; a museum; a library; a station; an airport; a car park; a staircase; a corridor; a workshop; a laboratory;
a court; a prison; a farm; bread; meat; vegetables; fruit; a cake; soup; coffee; a glass of wine; a plate of food;
an egg; rice; cheese; a chair; a table; a lamp; a clock; a bottle; a cup; a knife; a bag; a box; a book; a newspaper;
a letter; a picture; a door; a window; a wall; a floor; a mirror; a curtain; a toy; a doll; a ball; a balloon; a flag;
a sign; a map; a phone; a computer; a screen; a camera; a television; a robot; a machine; an engine; a tool; a wheel;
wires; a weapon; a shirt; a dress; a coat; shoes; a hat; glasses; a ring; long hair; a uniform; a mask; a costume;
a guitar; a piano; drums; a violin; a trumpet; a singer; a band on stage; a dancer; an orchestra; an audience;
a soccer match; a basketball game; a tennis match; swimming; running; skiing; boxing; a gymnast; a bicycle race;
fishing; cooking; eating; drinking; sleeping; reading; writing; painting; cleaning; building; driving; walking;
dancing; singing; laughing; crying; fighting; a speech; an interview; a news broadcast; a lesson; a meeting;
a wedding; a funeral; a parade; a protest; a party; a festival; a surgery; an experiment; an accident; a rescue;
a police officer; a soldier; a doctor; a cartoon; a video game; a drawing; a diagram; text on a screen; a logo;
a black screen; a blurred picture; a title card
"""

BACKGROUND: tuple[str, ...] = tuple(phrase.strip() for phrase in _TEXT.replace("\n", " ").split(";"))
