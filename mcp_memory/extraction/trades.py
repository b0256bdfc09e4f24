"""What people are by trade."""

from __future__ import annotations

OCCUPATIONS = frozenset(
    """
    accountant actor actress actuary administrator analyst anesthesiologist architect archivist artist
    assistant astronomer attorney auditor author baker banker barber barista bartender biologist bookkeeper
    bricklayer broker builder butcher caregiver carpenter cashier chef chemist cleaner clerk coach composer
    consultant contractor cook copywriter counselor curator dentist designer developer dietitian director
    doctor economist editor electrician engineer entrepreneur farmer filmmaker firefighter fisherman florist
    freelancer gardener geologist hairdresser historian illustrator instructor interpreter investor janitor
    journalist judge landscaper lawyer lecturer librarian lifeguard linguist machinist manager mathematician
    mechanic midwife miner musician nanny nurse nutritionist optician optometrist painter paralegal paramedic
    pharmacist photographer physicist physiotherapist pilot plumber policeman postman potter principal
    producer professor programmer psychiatrist psychologist publicist radiologist realtor receptionist
    recruiter reporter researcher salesman salesperson scientist sculptor secretary seamstress singer
    sociologist soldier statistician stylist superintendent surgeon surveyor tailor teacher technician
    therapist trainer translator tutor upholsterer veterinarian videographer waiter waitress warden welder
    woodworker writer zoologist
    """.split()
)
